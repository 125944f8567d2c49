"""The host's block devices that limits apply to."""

from pathlib import Path

from kwhost.core.cgroups.files import read_number, read_text

__all__ = ["whole_disks"]

# In memory, or in a file whose disk is counted.
_NOT_DISKS = ("loop", "ram", "zram")


def whole_disks(directory: Path = Path("/sys/block")) -> list[str]:
    """MAJOR:MINOR of each disk with something in it; I/O on partitions counts as their disk's."""
    found = []
    for disk in sorted(directory.iterdir()) if directory.is_dir() else ():
        number = (read_text(disk / "dev") or "").strip()
        if number and read_number(disk / "size") and not disk.name.startswith(_NOT_DISKS):
            found.append(number)
    return found
