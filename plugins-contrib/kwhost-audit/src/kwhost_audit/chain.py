"""Lines that hold each the hash of the one before: a line that is changed, taken out or put in breaks the
chain there."""

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

__all__ = ["BEGIN", "LINE_BEGIN", "LINE_MAX", "VERSION", "Head", "Link", "digest", "next_line", "read_link"]

VERSION = 1
# In bytes, with the newline: what schema.py lets into a line is less, even if all of it is escaped.
LINE_MAX = 128 * 1024
LINE_BEGIN = f'{{"v":{VERSION},'.encode()


class Head(NamedTuple):
    """The last line of a chain: its number, and the SHA-256 of its bytes without the newline."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


BEGIN = Head(0, "0" * 64)


class Link(msgspec.Struct):
    """What the chain needs of a line; all other keys are the schema's."""

    v: int
    seq: int
    prev: str


def digest(line: bytes) -> str:
    """The hash of a line without its newline."""
    return hashlib.sha256(line).hexdigest()


def next_line(head: Head, fields: Mapping[str, object]) -> tuple[bytes, Head]:
    """The line that follows, with its newline, and the head that it makes. Pure ASCII: whatever is in the
    fields is escaped."""
    entry = {"v": VERSION, "seq": head.seq + 1, "prev": head.hash, **fields}
    line = json.dumps(entry, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    return line + b"\n", Head(head.seq + 1, digest(line))


def read_link(line: bytes) -> Link | None:
    """The line's place in the chain; None where it is no line of this log."""
    try:
        link = msgspec.json.decode(line, type=Link)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return link if link.v == VERSION and link.seq > 0 else None
