"""Compressed streams: what comes of them is bounded by what they are."""

import gzip
import io
import struct
from collections.abc import Callable

import pytest
import zstandard

from kwhost.core.errors import ImageError
from kwhost.core.images import compression
from kwhost.core.images.compression import HEAD, compression_of, is_compressed, plain_stream

Compress = Callable[[bytes], bytes]


def pzstd(content: bytes) -> bytes:
    """As pzstd writes it: each part behind a frame that says how long the part is, and that is skipped."""
    parts = [
        zstandard.compress(part) for part in (content[: len(content) // 2], content[len(content) // 2 :])
    ]
    return b"".join(struct.pack("<III", 0x184D2A50, 4, len(part)) + part for part in parts)


COMPRESSIONS = [gzip.compress, zstandard.compress, pzstd]
ZEROS = bytes(32 << 20)


def size_of(stream: bytes) -> int:
    read = plain_stream(io.BytesIO(stream))
    size = 0
    while piece := read(1 << 18):
        size += len(piece)
    return size


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_stream_out_of_all_proportion_is_refused(
    compress: Compress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_UNSUSPICIOUS", len(ZEROS))

    with pytest.raises(ImageError, match="compressed bytes become more"):
        size_of(compress(ZEROS) * 4)


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_a_file_of_zeros_is_no_bomb(compress: Compress) -> None:
    assert size_of(compress(ZEROS)) == len(ZEROS)


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_what_is_compressed_is_told_by_its_beginning(compress: Compress) -> None:
    assert is_compressed(compress(b"content")[:HEAD])
    assert compression_of(compress(b"content")[:HEAD]) == ("gzip" if compress is gzip.compress else "zstd")
    assert not is_compressed(b"content"[:HEAD])
    assert not is_compressed(b"")


@pytest.mark.parametrize("content", [b"", b"a", b"content of more than a few bytes"])
def test_a_stream_that_comes_in_single_bytes_is_read_as_it_is(content: bytes) -> None:
    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.left = content

        def read(self, _size: int = -1) -> bytes:
            piece, self.left = self.left[:1], self.left[1:]
            return piece

    read = plain_stream(Slow())  # type: ignore[arg-type]
    found = b""
    while piece := read(1 << 18):
        found += piece

    assert found == content
