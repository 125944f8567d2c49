"""What an instance's files are: its root, the image beneath it, and what is mounted in it."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["InstanceStorage", "LayerUse", "MountUse", "Origin"]


class Origin(Enum):
    """Where what is mounted comes from: `root` is the instance's own, `etc` and `programs` are those of the
    image `host`, `volume` has a name, `directory` (or a file) is this host's, `memory` is gone with the
    instance."""

    ROOT = "root"
    PROGRAMS = "programs"
    VOLUME = "volume"
    DIRECTORY = "directory"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerUse:
    """A layer of an image; `packed` is how many bytes it has as it came."""

    digest: str
    packed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MountUse:
    """What the instance has at `target`. `source` is the volume's name or the host's path. `size` and `used`
    are in bytes, where it has room of its own. `layers` beneath it are read and never changed: what is
    written goes above them."""

    target: str
    origin: Origin
    source: str
    file_system: str
    read_only: bool
    layers: int = 0
    size: int | None = None
    used: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStorage:
    """`digest`, `layers` (from the lowest up) and `size`, what they have unpacked, are those of an image of
    the store. `mounts` are in the order in which they were made, the root first; none while it does not run,
    and where it has no mounts of its own."""

    image: str
    digest: str = ""
    size: int | None = None
    layers: tuple[LayerUse, ...] = ()
    mounts: tuple[MountUse, ...] = ()
