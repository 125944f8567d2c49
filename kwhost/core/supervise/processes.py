"""The processes of an instance as the host sees them, for `top`.

What they say about themselves is the guest's: it is bounded and cleaned.
"""

import os
from pathlib import Path

from kwhost.core.abi.messages import clean_text
from kwhost.core.model.daemon import ProcessEntry, ThreadEntry, ThreadState

__all__ = ["is_kept", "list_processes", "namespace_pids"]

_PROC = Path("/proc")
_COMMAND_MAX = 4096
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
# The kernel adds this thread to each process that ran a virtual CPU.
_KVM_WORKER = b"kvm-nx-lpage"
_LISTED_MAX = 64
_KEEPER = b"kw-keeper\n"
# The letters of proc(5) that are not here are ways to have ended.
_STATES = {
    b"R": ThreadState.RUNNING,
    b"S": ThreadState.SLEEPING,
    b"I": ThreadState.SLEEPING,
    b"D": ThreadState.WAITING,
    b"T": ThreadState.STOPPED,
    b"t": ThreadState.STOPPED,
}


def is_kept(first: int) -> bool:
    """Whether the first process of an instance is the keeper of one without namespaces, and not only called
    so."""
    try:
        if (_PROC / str(first) / "comm").read_bytes() != _KEEPER:
            return False
    except OSError:
        return False
    try:
        return os.readlink(_PROC / str(first) / "ns/pid") == os.readlink(_PROC / "self/ns/pid")
    except OSError:  # who may not look there makes no namespaces either
        return True


def _parents() -> dict[int, int]:
    """The parent of each process of this host."""
    found = {}
    for entry in filter(str.isdecimal, os.listdir(_PROC)):
        try:
            found[int(entry)] = int((_PROC / entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            continue
    return found


def _kept_pids(first: int) -> tuple[int, ...]:
    """All below the keepers that are children of `supervise`, as the instance's first process is."""
    parents = _parents()
    keepers = {pid for pid in parents if parents[pid] == parents.get(first) and is_kept(pid)}
    found, more = set[int](), keepers
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - found
        found |= more
    return tuple(sorted(found))


def namespace_pids(first: int) -> tuple[int, ...]:
    """The pids, on the host, of everything in the pid namespace that process `first` is in, or, where it is a
    keeper, of all that its instance has instead."""
    if is_kept(first):
        return _kept_pids(first)
    try:
        wanted = os.readlink(_PROC / str(first) / "ns/pid")
    except OSError:
        return ()
    found = []
    for entry in os.listdir(_PROC):
        if entry.isdecimal():
            try:
                if os.readlink(_PROC / entry / "ns/pid") == wanted:
                    found.append(int(entry))
            except OSError:
                continue
    return tuple(sorted(found))


def list_processes(first: int) -> tuple[ProcessEntry, ...]:
    """What runs in the instance of process `first`, oldest first; `user` is the id inside."""
    found = []
    pids, uid_base = namespace_pids(first), _uid_base(first)
    for pid in pids:
        try:
            found.append(_describe(pid, uid_base))
        except (OSError, ValueError, IndexError):  # it has ended meanwhile
            continue
    return tuple(entry for _, entry in sorted(found, key=lambda pair: (pair[0], pair[1].pid)))


def _uid_base(first: int) -> int:
    """The host's id of the instance's user 0."""
    try:
        fields = (_PROC / str(first) / "uid_map").read_text().split()
    except OSError:
        return 0
    return int(fields[1]) if len(fields) >= 3 and fields[0] == "0" else 0


def _describe(pid: int, uid_base: int) -> tuple[int, ProcessEntry]:
    directory = _PROC / str(pid)
    # The name in parentheses may hold anything; the fields follow its end.
    fields = (directory / "stat").read_bytes().rpartition(b")")[2].split()
    with (directory / "cmdline").open("rb") as file:
        command = clean_text(file.read(_COMMAND_MAX).rstrip(b"\0").replace(b"\0", b" "))
    if not command:
        command = f"[{clean_text((directory / 'comm').read_bytes().rstrip())}]"
    uid = directory.stat().st_uid
    threads = _list_threads(directory / "task")
    return int(fields[19]), ProcessEntry(
        pid=pid,
        user=str(uid - uid_base if uid >= uid_base else uid),
        threads=len(threads),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
        memory=int(fields[21]) * _PAGE,
        command=command,
        listed=tuple(threads[:_LISTED_MAX]),
    )


def _list_threads(directory: Path) -> list[ThreadEntry]:
    """All of them, by tid; one that ends meanwhile is none."""
    found = []
    for tid in sorted(map(int, os.listdir(directory))):
        try:
            head, _, rest = (directory / str(tid) / "stat").read_bytes().rpartition(b")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        name, fields = head.partition(b"(")[2], rest.split()
        if not name.startswith(_KVM_WORKER):
            found.append(
                ThreadEntry(
                    tid=tid,
                    name=clean_text(name),
                    state=_STATES.get(fields[0], ThreadState.ENDED),
                    cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
                )
            )
    return found
