"""Memory and processor time of process trees, read from the host (as root, or of one's own processes)."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "WINDOW",
    "busy_seconds",
    "command_name",
    "cpu_seconds",
    "descendants",
    "executable",
    "mapped_sizes",
    "memory_sizes",
    "proportional_size",
]

_PROC = Path("/proc")
# A process has a clock, whose number the kernel makes of the pid and this (linux/posix-timers.h).
_CPUCLOCK_SCHED = 2
# Host addresses at which a monitor holds its program's memory (kwhost/monitor/mm/window.h).
WINDOW = range(0x1000_0000_0000, 0x5001_0000_0000)


def descendants(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    try:
        tasks = list((_PROC / str(pid) / "task").iterdir())
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from descendants(int(child))


def command_name(pid: int) -> str:
    """The kernel's short name of the process."""
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def executable(pid: int) -> Path:
    """The file that the process runs, by the name that it has for it."""
    return (_PROC / str(pid) / "exe").readlink()


def proportional_size(pid: int, *, beyond: range = range(0)) -> int:
    """Bytes of proportional set size, of mappings that begin outside of `beyond`."""
    total, counted = 0, False
    for line in (_PROC / str(pid) / "smaps").read_text().splitlines():
        key, _, rest = line.partition(" ")
        if "-" in key:
            counted = int(key.partition("-")[0], 16) not in beyond
        elif key == "Pss:" and counted:
            total += int(rest.split()[0]) * 1024
    return total


def mapped_sizes(pid: int, path: str) -> tuple[int, int]:
    """Bytes that a process has of a mapped file: resident ones, and their proportional share."""
    sizes, counted = {"Rss:": 0, "Pss:": 0}, False
    try:
        lines = (_PROC / str(pid) / "smaps").read_text().splitlines()
    except OSError:  # it has just ended
        return 0, 0
    for line in lines:
        key, _, rest = line.partition(" ")
        if "-" in key:
            counted = line.endswith(" " + path)
        elif counted and key in sizes:
            sizes[key] += int(rest.split()[0]) * 1024
    return sizes["Rss:"], sizes["Pss:"]


def memory_sizes(pid: int) -> dict[str, int]:
    """Bytes, as the kernel sums them up: Rss, Pss and the others of smaps_rollup."""
    sizes = {}
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        key, value, _ = line.split()
        sizes[key.rstrip(":")] = int(value) * 1024
    return sizes


def busy_seconds() -> float:
    """Processor time that everything on this machine has used so far, of all processors together."""
    fields = (_PROC / "stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _, _, interrupts, soft_interrupts, *_ = map(int, fields)
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process so far; none where it has ended."""
    try:
        return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
    except OSError:
        return 0.0
