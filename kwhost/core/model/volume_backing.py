"""What keeps volumes, kwhost's own or a plugin's."""

from pathlib import Path
from typing import Protocol

__all__ = ["VolumeBacking"]


class VolumeBacking(Protocol):
    """Makes volumes and shows their files; its methods raise OSError, as the disk does, or KwhostError.

    They are called in threads, several at the same time for different volumes. `place` is a directory that
    the volume has for itself, and that its files may be in; it gets another name when the volume is removed.
    `mount_point` is an empty directory, for as long as something starts with the volume.
    """

    def make(self, place: Path, size: int | None) -> None:
        """Make an empty volume that holds `size` bytes and no more; None where no sizes are held."""

    def show(self, place: Path, mount_point: Path) -> Path:
        """The directory of its files, until `hide`; more than once does no harm."""

    def hide(self, mount_point: Path) -> None:
        """Whoever starts has taken what `show` gave: instances keep it by themselves."""

    def count_used(self, files: Path) -> int:
        """The bytes that are taken of a volume whose files are shown."""

    def is_busy(self, place: Path) -> bool:
        """Whether an instance has it, as far as that can be told."""

    def remove(self, place: Path) -> None:
        """Remove what does not go with the directory `place`; also of a volume that was made in part."""
