"""A stream of bytes, read ahead: most entries of an archive cost no read of their own."""

from collections.abc import Callable, Iterator

from kwhost.core.errors import ImageError

__all__ = ["ReadAhead"]

_PIECE = 1 << 18


class ReadAhead:
    """`read` gives at most so many bytes, and none only at the end. Raises ImageError where the stream ends
    too early."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._ahead = b""
        self._at = 0

    def _is_at_end(self) -> bool:
        """Whether nothing comes any more; otherwise there is something ahead."""
        if self._at == len(self._ahead):
            self._ahead, self._at = self._read(_PIECE), 0
        return not self._ahead

    def begins(self) -> bool:
        """Whether there is anything more."""
        return not self._is_at_end()

    def take(self, size: int) -> bytes:
        """Exactly so many bytes."""
        end = self._at + size
        if end <= len(self._ahead):
            data = self._ahead[self._at : end]
            self._at = end
            return data
        return b"".join(self.pieces(size))

    def take_ahead(self, gap: int, size: int) -> bytes:
        """So many bytes behind a gap, if all has been read already; otherwise nothing, and nothing is
        taken."""
        start = self._at + gap
        end = start + size
        if end > len(self._ahead):
            return b""
        self._at = end
        return self._ahead[start:end]

    def piece_ahead(self, size: int) -> memoryview | None:
        """So many bytes, if all of them have been read already; otherwise nothing is taken."""
        start, end = self._at, self._at + size
        if end > len(self._ahead):
            return None
        self._at = end
        return memoryview(self._ahead)[start:end]

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The same in pieces, as they come."""
        while size:
            if self._is_at_end():
                raise ImageError("the archive is cut off")
            piece = memoryview(self._ahead)[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def skip(self, size: int) -> bool:
        """Pass over so many bytes; whether there are as many."""
        while size and not self._is_at_end():
            step = min(size, len(self._ahead) - self._at)
            self._at += step
            size -= step
        return not size

    def read_to_end(self) -> None:
        """Pass over all that is left."""
        self._at = len(self._ahead)
        while not self._is_at_end():
            self._at = len(self._ahead)
