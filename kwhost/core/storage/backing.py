"""What keeps a volume's files. One object for each kind; the store knows no more of them than this."""

from pathlib import Path
from typing import Protocol

__all__ = ["Backing"]


class Backing(Protocol):
    """Makes and shows volumes of one kind; every method raises OSError.

    `place` is a volume's own directory in the store, `mount_point` an empty directory for the time that an
    instance starts with it.
    """

    def make(self, place: Path, size: int | None) -> None:
        """Make an empty volume, of whatever size it has to hold."""

    def show(self, place: Path, mount_point: Path) -> Path:
        """The directory of its files, until `hide`; more than once does no harm."""

    def hide(self, mount_point: Path) -> None:
        """Whoever starts has taken what `show` gave: instances keep it by themselves."""

    def count_used(self, files: Path) -> int:
        """The bytes that are taken of a volume whose files are shown."""

    def is_busy(self, place: Path) -> bool:
        """Whether an instance has it, as far as the kernel says."""
