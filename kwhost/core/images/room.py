"""How much an image may take of a disk."""

from pathlib import Path

from kwhost.core.errors import HostError
from kwhost.core.images.free_room import free_names, free_room
from kwhost.core.images.layer_writer import LayerBounds
from kwhost.core.images.store import telling_full_disk

__all__ = ["Watch", "room_for"]

_MOST = LayerBounds()
_LOOK_AGAIN = 1024 * 1024


def room_for(path: Path) -> LayerBounds:
    """What may be unpacked there: no archive, however much it pretends to be, fills the disk. Raises
    HostError."""
    with telling_full_disk(f"look at the file system of {path}"):
        size, entries = free_room(path), free_names(path)
    if size <= 0 or (entries is not None and entries <= 0):
        raise HostError(f"there is too little room for an image on the disk of {path}; free some space")
    return LayerBounds(size=min(size, _MOST.size), entries=min(entries or _MOST.entries, _MOST.entries))


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
