"""What images and volumes may take of a disk: not all of it, for everybody else's sake, and nothing that is
promised to volumes with project quotas, which take it later."""

import os
from pathlib import Path

__all__ = ["PROJECT_FIRST", "PROJECT_LAST", "free_names", "free_room"]

# What nobody may take: a twentieth.
_KEPT_FREE = 20
# The projects of volumes, on any file system: the letters kw, and 65,536 numbers.
PROJECT_FIRST, PROJECT_LAST = 0x6B770000, 0x6B77FFFF


def free_room(path: Path) -> int:
    """Bytes that may be taken of the disk of a path; negative where too few are left. Raises OSError."""
    disk = os.statvfs(path)
    return (disk.f_bavail - disk.f_blocks // _KEPT_FREE) * disk.f_frsize - _promised(path)[0]


def free_names(path: Path) -> int | None:
    """Files that may be made there; None where the file system does not count them. Raises OSError."""
    disk = os.statvfs(path)
    if not disk.f_files:
        return None
    return disk.f_favail - disk.f_files // _KEPT_FREE - _promised(path)[1]


def _promised(path: Path) -> tuple[int, int]:
    """What volumes may take still: bytes, and files. Raises OSError."""
    from kwhost.core.abi.project_quota import quotas_between  # brings cffi

    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        promises = [quota for _, quota in quotas_between(fd, PROJECT_FIRST, PROJECT_LAST)]
    finally:
        os.close(fd)
    size = sum(max(quota.size - quota.used, 0) for quota in promises)
    return size, sum(max(quota.files - quota.files_used, 0) for quota in promises)
