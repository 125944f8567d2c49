"""What images and volumes may take of a disk: not all of it, for everybody else's sake."""

import os
from pathlib import Path

__all__ = ["free_names", "free_room"]

# What nobody may take: a twentieth.
_KEPT_FREE = 20


def free_room(path: Path) -> int:
    """Bytes that may be taken of the disk of a path; negative where too few are left. Raises OSError."""
    disk = os.statvfs(path)
    return (disk.f_bavail - disk.f_blocks // _KEPT_FREE) * disk.f_frsize


def free_names(path: Path) -> int | None:
    """Files that may be made there; None where the file system does not count them. Raises OSError."""
    disk = os.statvfs(path)
    return disk.f_favail - disk.f_files // _KEPT_FREE if disk.f_files else None
