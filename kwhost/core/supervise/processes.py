"""The processes of an instance as the host sees them, for `top`.

What they say about themselves is the guest's: it is bounded and cleaned.
"""

import os
from pathlib import Path

from kwhost.core.abi.messages import clean_text
from kwhost.core.model.daemon import ProcessEntry

__all__ = ["list_processes", "namespace_pids"]

_PROC = Path("/proc")
_COMMAND_MAX = 4096
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
# The kernel adds this thread to each process that ran a virtual CPU.
_KVM_WORKER = "kvm-nx-lpage"


def namespace_pids(first: int) -> tuple[int, ...]:
    """The pids, on the host, of everything in the pid namespace that process `first` is in."""
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
    return int(fields[19]), ProcessEntry(
        pid=pid,
        user=str(uid - uid_base if uid >= uid_base else uid),
        threads=_count_threads(directory),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
        memory=int(fields[21]) * _PAGE,
        command=command,
    )


def _count_threads(directory: Path) -> int:
    threads = 0
    for entry in os.listdir(directory / "task"):
        name = (directory / "task" / entry / "comm").read_bytes().decode(errors="replace")
        threads += not name.startswith(_KVM_WORKER)
    return threads
