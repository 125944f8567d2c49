"""How much of a disk images and volumes may take: all but what is kept free for everybody else."""

import os
from pathlib import Path

from kwhost.core.errors import HostError
from kwhost.core.images.layer_writer import LayerBounds
from kwhost.core.images.store import telling_full_disk

__all__ = ["Watch", "free_room", "room_for"]

# What nobody may take of a disk: a twentieth.
_KEPT_FREE = 20
_SIZE_MAX = LayerBounds().size
_LOOK_AGAIN = 1024 * 1024


def free_room(path: Path) -> int:
    """Bytes that may be taken of the disk of a path; negative where less is left than is kept free. Raises
    HostError."""
    with telling_full_disk(f"look at the file system of {path}"):
        disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize - disk.f_blocks * disk.f_frsize // _KEPT_FREE


def room_for(path: Path) -> LayerBounds:
    """What may be unpacked there: no archive, however much it pretends to be, fills the disk."""
    free = free_room(path)
    with telling_full_disk(f"look at the file system of {path}"):
        disk = os.statvfs(path)
    entries = disk.f_favail - disk.f_files // _KEPT_FREE if disk.f_files else LayerBounds().entries
    if free <= 0 or entries <= 0:
        raise HostError(f"there is too little room for an image on the disk of {path}; free some space")
    return LayerBounds(size=min(free, _SIZE_MAX), entries=min(entries, LayerBounds().entries))


class Watch:
    """For whoever writes to a disk while others do: looks now and then whether there is room still."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = _LOOK_AGAIN

    def written(self, count: int) -> None:
        """So many bytes more are about to be. Raises HostError."""
        self._written += count
        if self._written >= _LOOK_AGAIN:
            self._written = 0
            room_for(self._path)
