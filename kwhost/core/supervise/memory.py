"""What the memory of an instance is for, by the host's lists of its processes' mappings. Blocking.

A process of an instance is a monitor, and the guest's memory is a part of it: the window. Without a virtual
machine it is the program itself, and all of its memory is the guest's.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from kwhost.core.abi.messages import clean_text
from kwhost.core.errors import Conflict, HostError
from kwhost.core.model.memory import InstanceMemory, MemoryKind, MemoryUse, ProcessMemory
from kwhost.core.supervise.processes import namespace_pids

__all__ = ["read_memory", "sum_mappings"]

_PROC = Path("/proc")
# About 5,000 mappings; together these are some 150 ms of one processor.
_PROCESSES_MAX = 64
_BYTES_MAX = 4 << 20
_PATH_MAX = 256

# WINDOW_BASE and WINDOW_BITS of monitor/mm/window.h.
_WINDOW = range(0x1000_0000_0000, 0x1000_0000_0000 + (1 << 46))
_EVERYWHERE = range(1 << 64)
# "start-end perms offset device inode   path", followed by lines such as "Rss:   4 kB".
_MAPPING = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ (\S+) (\d+) *(.*)$", re.MULTILINE)
_COUNT = re.compile(rb"^(Rss|Pss|Private_Dirty|Swap): +(\d+) kB$", re.MULTILINE)
_PAGE_TABLES = re.compile(rb"^VmPTE:\s+(\d+) kB$", re.MULTILINE)
_LIBRARY = re.compile(rb"\.so(\.[^/]*)?( \(deleted\))?$")

_K = MemoryKind


class _Mapping(NamedTuple):
    """`file` tells files from each other; None: there is none."""

    start: int
    size: int
    permissions: bytes
    file: tuple[bytes, bytes] | None
    path: bytes
    counts: dict[bytes, int]


def read_memory(first: int, *, has_monitors: bool = True) -> InstanceMemory:
    """Of the instance of process `first`. Raises Conflict where it has ended, HostError where the host does
    not tell."""
    found: list[ProcessMemory] = []
    left, unread = _BYTES_MAX, 0
    guest = _WINDOW if has_monitors else _EVERYWHERE
    for pid in namespace_pids(first):
        if left <= 0 or len(found) >= _PROCESSES_MAX:
            unread += 1
            continue
        try:
            process, read = _read_process(pid, left, guest)
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        except OSError as error:
            raise HostError(f"cannot read the memory map of process {pid}: {error.strerror}") from error
        found.append(process)
        left -= read
    if not found:
        raise Conflict("the instance has ended")
    return InstanceMemory(
        uses=_add(use for process in found for use in process.uses),
        page_tables=sum(process.page_tables for process in found),
        processes=tuple(found),
        left_out=unread,
    )


def _read_process(pid: int, most: int, guest: range) -> tuple[ProcessMemory, int]:
    """And how many bytes were read for it."""
    directory = _PROC / str(pid)
    with (directory / "smaps").open("rb") as file:
        text = file.read(most)
        cut = len(text) == most and bool(file.read(1))
    tables = _PAGE_TABLES.search((directory / "status").read_bytes())
    program, uses = sum_mappings(text, guest)
    process = ProcessMemory(
        pid=pid,
        program=program,
        uses=uses,
        page_tables=int(tables[1]) << 10 if tables else 0,
        cut=cut,
    )
    return process, len(text)


def sum_mappings(text: bytes, guest: range = _WINDOW) -> tuple[str, tuple[MemoryUse, ...]]:
    """The program's path and the uses by kind, of the text of an `smaps`. `guest` are the addresses that are
    the guest's. Pure."""
    mappings = [mapping for mapping in _parse(text) if not _is_reserved(mapping, guest)]
    loaded = next((each for each in mappings if each.start in guest and _is_private_file(each)), None)
    program = loaded.file if loaded else None
    path = clean_text(loaded.path)[:_PATH_MAX] if loaded else ""
    return path, _add(_use(mapping, _kind(mapping, program, guest)) for mapping in mappings)


def _parse(text: bytes) -> Iterator[_Mapping]:
    heads = list(_MAPPING.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for head, end in zip(heads, ends, strict=True):
        start, stop, permissions, device, inode, path = head.groups()
        counts = {name: int(kilobytes) << 10 for name, kilobytes in _COUNT.findall(text, head.end(), end)}
        yield _Mapping(
            start=int(start, 16),
            size=int(stop, 16) - int(start, 16),
            permissions=permissions,
            file=None if inode == b"0" else (device, inode),
            path=path,
            counts=counts,
        )


def _is_reserved(mapping: _Mapping, guest: range) -> bool:
    """Addresses that are only kept free; guards of the guest's own look the same."""
    return mapping.start in guest and mapping.permissions == b"---p" and mapping.file is None


def _is_private_file(mapping: _Mapping) -> bool:
    return mapping.file is not None and mapping.permissions.endswith(b"p")


def _kind(mapping: _Mapping, program: tuple[bytes, bytes] | None, guest: range) -> MemoryKind:
    if mapping.start not in guest:
        return _K.MONITOR
    if mapping.permissions.endswith(b"s"):
        return _K.SHARED
    if mapping.file is None:
        return _K.ANONYMOUS
    if mapping.file == program:
        return _K.PROGRAM
    return _K.LIBRARIES if _LIBRARY.search(mapping.path) else _K.FILES


def _use(mapping: _Mapping, kind: MemoryKind) -> MemoryUse:
    counts = mapping.counts
    return MemoryUse(
        kind=kind,
        mappings=1,
        size=mapping.size,
        resident=counts.get(b"Rss", 0),
        share=counts.get(b"Pss", 0),
        written=counts.get(b"Private_Dirty", 0),
        swapped=counts.get(b"Swap", 0),
    )


def _add(uses: Iterable[MemoryUse]) -> tuple[MemoryUse, ...]:
    """One for each kind, in their order."""
    sums: dict[MemoryKind, list[int]] = {}
    for use in uses:
        numbers = (use.mappings, use.size, use.resident, use.share, use.written, use.swapped)
        before = sums.setdefault(use.kind, [0] * len(numbers))
        sums[use.kind] = [one + other for one, other in zip(before, numbers, strict=True)]
    return tuple(
        MemoryUse(
            kind=kind,
            mappings=sums[kind][0],
            size=sums[kind][1],
            resident=sums[kind][2],
            share=sums[kind][3],
            written=sums[kind][4],
            swapped=sums[kind][5],
        )
        for kind in MemoryKind
        if kind in sums
    )
