"""The parts of a tar archive's headers, read from hostile bytes. Pure; every function raises ImageError."""

from functools import lru_cache
from typing import NamedTuple
from zlib import adler32

from kwhost.core.errors import ImageError

__all__ = [
    "BLOCK",
    "Ending",
    "Segment",
    "check_sum",
    "checked_segments",
    "decimal",
    "ending",
    "number",
    "owner",
    "pax_records",
    "size_of",
    "text",
]

BLOCK = 512
_NUMBER_MAX = 2**63 - 1
_SEGMENTS_MAX = 100_000


class Segment(NamedTuple):
    """A part of a sparse file that is in the archive; what is between them is zeros."""

    offset: int
    size: int


def text(field: bytes) -> bytes:
    """A field up to its NUL character."""
    return field.partition(b"\0")[0]


@lru_cache(maxsize=4096)  # modes, owners and times repeat
def number(field: bytes) -> int:
    """An octal number, or GNU's binary one. Negative ones, which only times can be, count as 0."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=True) if field[0] == 0xFF else _binary(field)
        value = max(value, 0)
    else:
        digits = field.strip(b" \0") or b"0"
        if not digits.isdigit() or b"8" in digits or b"9" in digits:
            raise ImageError(f"a tar header has {digits[:24]!r} for a number")
        value = int(digits, 8)
    if value > _NUMBER_MAX:
        raise ImageError("a tar header has a number of more than 63 bits")
    return value


def size_of(field: bytes, pax: bytes | None = None) -> int:
    """The size of an entry's content, in its header or, before that, in a pax header."""
    if field[0] == 0xFF if pax is None else pax.startswith(b"-"):
        raise ImageError("a tar header has a negative size")
    return number(field) if pax is None else decimal(pax)


def _binary(field: bytes) -> int:
    return int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")


class Ending(NamedTuple):
    """What a header has behind its sum: where a link leads, what its name begins with, and the sum of it."""

    link: bytes
    prefix: bytes
    sum: int


@lru_cache(maxsize=256)  # most headers end like the one before
def ending(data: bytes) -> Ending:
    """Of a header from its 156th byte on."""
    prefix = text(data[189:344]) if data[101:107] == b"ustar\0" else b""
    return Ending(text(data[1:101]), prefix and prefix + b"/", _sum(data[:256]) + _sum(data[256:]))


@lru_cache(maxsize=256)
def owner(data: bytes) -> tuple[int, int, int]:
    """Mode, user and group, which are a header's bytes from 100 to 124."""
    return number(data[:8]) & 0o7777, number(data[8:16]), number(data[16:])


def check_sum(header: bytes) -> None:
    """Compare the header's sum, in which its own place counts as spaces."""
    if _sum(header[:148]) + 8 * 32 + ending(header[156:]).sum != number(header[148:156]):
        raise ImageError("it is no tar archive, or damaged: a header's check sum is wrong")


def _sum(data: bytes) -> int:
    """Of at most 256 bytes. The lower half of Adler-32 is one more than that, modulo 65521, and comes much
    faster than by adding in Python."""
    return (adler32(data) & 0xFFFF) - 1


def decimal(value: bytes) -> int:
    """A number as pax writes it; a fraction is left out."""
    whole = value.partition(b".")[0]
    if whole.startswith(b"-"):
        return 0
    if not whole.isdigit() or len(whole) > 19:
        raise ImageError(f"a pax header has {value[:24]!r} for a number")
    return min(int(whole), _NUMBER_MAX)


def pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """The records of a pax header, in order: LENGTH KEY=VALUE and a line feed."""
    records = []
    at = 0
    while at < len(data):
        digits, space, _ = data[at : at + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[at + len(digits) + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if not key or not equals or not value.endswith(b"\n") or at + length > len(data):
            raise ImageError("a pax header is damaged")
        records.append((key, value[:-1]))
        at += length
    return records


def checked_segments(segments: list[Segment], size: int, stored: int) -> tuple[Segment, ...]:
    """The segments of a sparse file of `size`, if they are in order, and are what the archive has of it."""
    end = 0
    for segment in segments:
        if segment.offset < end or segment.offset + segment.size > size:
            raise ImageError("a sparse file's map is not in order, or goes beyond the file")
        end = segment.offset + segment.size
    if sum(segment.size for segment in segments) != stored or len(segments) > _SEGMENTS_MAX:
        raise ImageError("a sparse file's map does not fit what the archive has of the file")
    return tuple(segment for segment in segments if segment.size)
