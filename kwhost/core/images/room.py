"""How much an image may take of a disk."""

import os
from pathlib import Path

from kwhost.core.errors import HostError
from kwhost.core.images.layer_writer import LayerBounds
from kwhost.core.images.store import telling_full_disk

__all__ = ["room_for"]

# What no image may take of a disk, for everybody else: a twentieth.
_KEPT_FREE = 20
_SIZE_MAX = LayerBounds().size


def room_for(path: Path) -> LayerBounds:
    """What may be unpacked there: no archive, however much it pretends to be, fills the disk."""
    with telling_full_disk(f"look at the file system of {path}"):
        disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize - disk.f_blocks * disk.f_frsize // _KEPT_FREE
    entries = disk.f_favail - disk.f_files // _KEPT_FREE if disk.f_files else LayerBounds().entries
    if free <= 0 or entries <= 0:
        raise HostError(f"there is too little room for an image on the disk of {path}; free some space")
    return LayerBounds(size=min(free, _SIZE_MAX), entries=min(entries, LayerBounds().entries))
