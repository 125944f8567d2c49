"""Reads a tar archive from a stream, entry by entry. What comes may be anything."""

import os
import tarfile
from collections.abc import Callable
from typing import Any, BinaryIO

from kwhost.core.errors import KwhostError, UsageError

__all__ = ["ArchiveInput"]

_PIECE = 256 * 1024
# Names and other properties of one entry; the library reads them in one piece.
_HEADER_MAX = 1024 * 1024


class ArchiveInput:
    """Every method raises UsageError for what is no proper archive. `check` is called again and again, and
    may raise too."""

    def __init__(self, source: BinaryIO, check: Callable[[], None] = lambda: None) -> None:
        self._source = _Forward(source)
        self._check = check
        self._archive: Any = None  # a TarFile
        self._last = ""

    def next_entry(self) -> tarfile.TarInfo | None:
        """The next entry; None at the end, after which the source has nothing more."""
        self._check()
        try:
            entry = self._parse()
        except (KwhostError, OSError):
            raise
        except Exception as error:  # the library meets hostile bytes here
            raise UsageError(f"what came is no tar archive{self._place()}: {error}") from error
        if entry is None:
            if not self._source.at_end_mark:
                raise UsageError(f"the archive is cut off or damaged{self._place()}")
            self._source.skip_rest()
            return None
        self._last = entry.name
        return entry

    def _parse(self) -> tarfile.TarInfo | None:
        if self._archive is None:
            file: Any = self._source
            self._archive = tarfile.TarFile(fileobj=file, encoding="utf-8", errors="surrogateescape")
        entry: tarfile.TarInfo | None = self._archive.next()
        self._archive.members.clear()  # it would keep all
        return entry

    def _place(self) -> str:
        return f" after {self._last!r}" if self._last else ""

    def copy(self, entry: tarfile.TarInfo, file: int) -> None:
        """Write the content of the entry that came last to a descriptor. Raises OSError."""
        left = entry.size
        while left:
            self._check()
            piece = self._source.take(min(_PIECE, left))
            if not piece:
                raise UsageError(f"the archive is cut off in {entry.name!r}")
            left -= len(piece)
            while piece:
                piece = piece[os.write(file, piece) :]


class _Forward:
    """What tarfile needs of a file, on a stream: it only goes forward."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._position = 0
        self._block = b""

    @property
    def at_end_mark(self) -> bool:
        """Whether the block that was read last is the zeros at the end of an archive."""
        return self._block == bytes(tarfile.BLOCKSIZE)

    def take(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        data = self._source.read(size)
        self._position += len(data)
        return data

    def read(self, size: int) -> bytes:
        """A part of a header."""
        if not 0 <= size <= _HEADER_MAX:
            raise UsageError(f"the archive has a header of {size} bytes")
        self._block = self.take(size)
        return self._block

    def tell(self) -> int:
        """How much was read."""
        return self._position

    def seek(self, position: int) -> None:
        """Go forward. Raises UsageError for an archive that says to go back."""
        if position < self._position:
            raise UsageError("the archive's headers contradict each other")
        while self._position < position and self.take(min(_PIECE, position - self._position)):
            pass

    def skip_rest(self) -> None:
        """Take what is behind the end, so that whoever sends it gets rid of it."""
        while self._source.read(_PIECE):
            pass
