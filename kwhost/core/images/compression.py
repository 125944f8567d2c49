"""Streams as they were before gzip or zstd: memory is bounded, whatever the stream says."""

import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from kwhost.core.errors import ImageError

__all__ = ["HEAD", "Read", "compression_of", "is_compressed", "plain_stream"]

# So many bytes say how a stream is compressed.
HEAD = 6
_PIECE = 1 << 18
_GZIP = b"\x1f\x8b"
# A frame, or what may come before one and is skipped, as pzstd begins.
_ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + number,)) + b"\x2a\x4d\x18" for number in range(16)))
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
# zstd may ask for gigabytes of what it has written before; nothing in use asks for more than this.
_WINDOW_MAX = 1 << 27
# What is compressed may become as large as this, and beyond that so many times as large as it is: layers
# become two to twenty times as large, zeros a thousand times in gzip, and far more in zstd.
_UNSUSPICIOUS = 1 << 30
_RATIO_MAX = 200
_GZIP_WITH_HEADER = 16 + zlib.MAX_WBITS

Read = Callable[[int], bytes]


class _Head:
    """A stream whose beginning was looked at."""

    def __init__(self, source: BinaryIO, head: bytes) -> None:
        self._source = source
        self._head = head
        self.given = 0  # bytes so far

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes."""
        if self._head:
            size = len(self._head) if size < 0 else size
            piece, self._head = self._head[:size], self._head[size:]
        else:
            piece = self._source.read(size)
        self.given += len(piece)
        return piece


class _Gzip:
    """gzip, also several streams behind each other, as pigz writes them."""

    def __init__(self, source: _Head) -> None:
        self._source = source
        self._input = b""
        self._stream = zlib.decompressobj(_GZIP_WITH_HEADER)

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        try:
            return self._read(size)
        except zlib.error as error:
            raise ImageError(f"the gzip data is damaged: {error}") from error

    def _read(self, size: int) -> bytes:
        while True:
            if self._stream.eof:
                self._input = self._stream.unused_data or self._input
                # Zeros may follow, as on tapes.
                self._input = (self._input or self._source.read(_PIECE)).lstrip(b"\0")
                if not self._input:
                    return b""
                self._stream = zlib.decompressobj(_GZIP_WITH_HEADER)
            data = self._input or self._source.read(_PIECE)
            if not data:
                raise ImageError("the gzip data is cut off")
            piece = self._stream.decompress(data, size)
            self._input = self._stream.unconsumed_tail
            if piece:
                return piece


def _zstd(source: Any) -> Read:
    import zstandard  # few images have it

    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAX).stream_reader(
        source, read_size=_PIECE, read_across_frames=True
    )

    def read(size: int) -> bytes:
        try:
            return reader.read(size)
        except zstandard.ZstdError as error:
            raise ImageError(f"the zstd data is damaged: {error}") from error

    return read


def _no_bomb(read: Read, source: _Head) -> Read:
    """The same, as long as what comes is not out of all proportion to what it comes from."""
    come = 0

    def checked(size: int) -> bytes:
        nonlocal come
        piece = read(size)
        come += len(piece)
        if come > _UNSUSPICIOUS + _RATIO_MAX * source.given:
            raise ImageError(
                f"{source.given} compressed bytes become more than {come}: that is no archive of files"
            )
        return piece

    return checked


def compression_of(head: bytes) -> str:
    """How a stream is compressed that begins so (with HEAD bytes), as far as it can be read here; or ""."""
    if head.startswith(_GZIP):
        return "gzip"
    return "zstd" if head.startswith(_ZSTD) else ""


def is_compressed(head: bytes) -> bool:
    """Whether a stream that begins so (with HEAD bytes) is anything but itself."""
    return head.startswith((_GZIP, *_ZSTD, *_OTHERS))


def plain_stream(source: BinaryIO) -> Read:
    """What gives at most so many bytes of the stream without its compression, none at its end. Only the
    first HEAD bytes are read here, and all that reading the rest needs is loaded. Raises ImageError, also
    later, where it is damaged."""
    head = b""
    while len(head) < HEAD and (more := source.read(HEAD - len(head))):
        head += more
    whole = _Head(source, head)
    if head.startswith(_GZIP):
        return _no_bomb(_Gzip(whole).read, whole)
    if head.startswith(_ZSTD):
        return _no_bomb(_zstd(whole), whole)
    for mark, name in _OTHERS.items():
        if head.startswith(mark):
            raise ImageError(f"it is compressed with {name}; gzip and zstd are known here")
    return whole.read
