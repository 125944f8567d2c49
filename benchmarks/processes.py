"""Memory of process trees, read from the host's /proc (as root, or of one's own processes)."""

from collections.abc import Iterator
from pathlib import Path

__all__ = ["WINDOW", "command_name", "descendants", "proportional_size"]

_PROC = Path("/proc")
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
