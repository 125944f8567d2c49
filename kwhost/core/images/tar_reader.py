"""Reads a tar archive from a stream: ustar, pax and GNU headers, sparse files in all their forms.

Python's tarfile is not used: it trusts what headers say of sizes and order, decodes names, and takes
several times as long for an entry.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from kwhost.core.errors import ImageError
from kwhost.core.images.tar_fields import (
    BLOCK,
    Segment,
    check_sum,
    checked_segments,
    decimal,
    ending,
    number,
    owner,
    pax_records,
    size_of,
    text,
)
from kwhost.core.images.tar_stream import ReadAhead

__all__ = ["Entry", "Kind", "TarReader"]

# Of one extended header; with it comes all that is ever held of an entry.
_HEADER_MAX = 1 << 20
_MAP_BLOCKS_MAX = 4096
_XATTR = b"SCHILY.xattr."
_SPARSE_KEYS = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
_ZEROS = bytes(BLOCK)
_EXTENDED = b"xgLK"


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    LINK = "hard link"
    SYMLINK = "symbolic link"
    CHARACTER = "character device"
    BLOCK = "block device"
    DIRECTORY = "directory"
    FIFO = "pipe"


_FILE, _DIRECTORY = Kind.FILE, Kind.DIRECTORY  # looking a member up takes Python long
_KINDS = {
    b"0": Kind.FILE, b"\0": Kind.FILE, b"7": Kind.FILE, b"S": Kind.FILE, b"1": Kind.LINK, b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER, b"4": Kind.BLOCK, b"5": Kind.DIRECTORY, b"6": Kind.FIFO,
}  # fmt: skip


_NO_XATTRS: Mapping[bytes, bytes] = MappingProxyType({})


class Entry(NamedTuple):
    """One entry; names are bytes, as they are in the archive. `size` is the file's, `stored` what the archive
    has of it, `segments` where that belongs (None: it is all of the file)."""

    name: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    stored: int
    link: bytes
    xattrs: Mapping[bytes, bytes] = _NO_XATTRS
    segments: tuple[Segment, ...] | None = None


class TarReader:
    """`read` gives at most so many bytes, and none only at the end. Raises ImageError for what is no proper
    archive."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._stream = ReadAhead(read)
        self._begun = False
        self._left = 0  # of the entry's content
        self._padding = 0

    def entries(self) -> Iterator[Entry]:
        """All entries; what is not taken of an entry's content is passed over."""
        while header := self._next_header():
            entry = self._entry(header)
            if entry is not None:
                yield entry

    def pieces(self) -> Iterable[memoryview]:
        """What the archive has of the entry that came last."""
        if (piece := self._stream.piece_ahead(self._left)) is None:
            return self._pieces()
        self._left = 0
        return (piece,)

    def _pieces(self) -> Iterator[memoryview]:
        for piece in self._stream.pieces(self._left):
            self._left -= len(piece)
            yield piece

    def _next_header(self) -> bytes:
        """The next header; nothing at the end: a block of zeros, or, as some programs write it, the stream's
        own end right behind an entry's content, or where the next header would be."""
        if self._left:
            for _ in self.pieces():
                pass
        padding, self._padding = self._padding, 0
        header = self._stream.take_ahead(padding, BLOCK) or self._take_header(padding)
        if not header:
            return b""
        self._begun = True
        if header == _ZEROS:
            self._stream.read_to_end()
            return b""
        check_sum(header)
        return header

    def _take_header(self, padding: int) -> bytes:
        """The next header where not all of it has been read; nothing at the stream's end."""
        if padding and not self._stream.skip(padding):
            return b""
        if not self._stream.begins():
            if not self._begun:
                raise ImageError("the archive is empty, or cut off at its beginning")
            return b""
        return self._stream.take(BLOCK)

    def _begin_content(self, size: int) -> None:
        self._left = size
        self._padding = -size % BLOCK

    def _content(self, header: bytes) -> bytes:
        """All of an extended header."""
        size = size_of(header[124:136])
        if size > _HEADER_MAX:
            raise ImageError(f"the archive has an extended header of {size} bytes")
        return self._stream.take(size + -size % BLOCK)[:size]

    def _entry(self, header: bytes) -> Entry | None:
        """The entry that begins with this header, which may be one of several; None at the end."""
        pax: dict[bytes, bytes] = {}
        sparse: list[tuple[bytes, bytes]] = []
        name = link = b""
        while header[156] in _EXTENDED:
            kind = header[156:157]
            content = self._content(header)
            if kind == b"L":
                name = text(content)
            elif kind == b"K":
                link = text(content)
            elif kind == b"x":
                records = pax_records(content)
                sparse = [each for each in records if each[0] in _SPARSE_KEYS]
                pax = dict(records)
            header = self._next_header()
            if not header:
                if kind == b"g":
                    return None
                raise ImageError("the archive ends behind an extended header")
        return self._finish(header, pax, sparse, name, link)

    def _finish(
        self,
        header: bytes,
        pax: dict[bytes, bytes],
        sparse: list[tuple[bytes, bytes]],
        name: bytes,
        link: bytes,
    ) -> Entry:
        kind = _KINDS.get(header[156:157])
        if kind is None:
            raise ImageError(f"the archive has an entry of the unknown kind {header[156:157]!r}")
        rest = ending(header[156:])
        name = pax.get(b"path") or name or rest.prefix + text(header[:100])
        size = 0  # some programs give one to what is no file, and never content
        if kind is _FILE:
            size = size_of(header[124:136], pax.get(b"size"))
            self._begin_content(size)
            if name.endswith(b"/"):
                kind = _DIRECTORY  # as before ustar
        mode, uid, gid = _owner(header, pax) if pax else owner(header[100:124])
        mtime = decimal(pax[b"mtime"]) if b"mtime" in pax else number(header[136:148])
        link = pax.get(b"linkpath") or link or rest.link
        xattrs = _xattrs(pax) if pax else _NO_XATTRS
        entry = Entry(name, kind, mode, uid, gid, mtime, size, size, link, xattrs)
        if kind is _FILE and (pax or header[156:157] == b"S"):
            return self._with_segments(entry, header, pax, sparse)
        return entry

    def _with_segments(
        self, entry: Entry, header: bytes, pax: dict[bytes, bytes], sparse: list[tuple[bytes, bytes]]
    ) -> Entry:
        """A file that may be a sparse one."""
        if header[156:157] == b"S":
            segments, size = self._old_map(header)
        elif b"GNU.sparse.major" in pax:
            segments, size = self._map_in_content(), decimal(pax.get(b"GNU.sparse.realsize", b"x"))
        elif b"GNU.sparse.size" in pax:
            flat = [decimal(value) for _, value in sparse]
            if b"GNU.sparse.map" in pax:
                flat = [decimal(value) for value in pax[b"GNU.sparse.map"].split(b",") if value]
            segments, size = _pairs(flat), decimal(pax[b"GNU.sparse.size"])
        else:
            return entry
        return entry._replace(
            name=pax.get(b"GNU.sparse.name", entry.name),
            size=size,
            stored=self._left,
            segments=checked_segments(segments, size, self._left),
        )

    def _old_map(self, header: bytes) -> tuple[list[Segment], int]:
        """GNU's first form: in the header, and in blocks behind it."""
        fields, more = header[386:482], header[482]
        segments = _old_segments(fields)
        blocks = 0
        while more:
            blocks += 1
            if blocks > _MAP_BLOCKS_MAX:
                raise ImageError("a sparse file's map is too long")
            block = self._stream.take(BLOCK)
            segments += _old_segments(block[:504])
            more = block[504]
        return segments, number(header[483:495])

    def _map_in_content(self) -> list[Segment]:
        """Pax form 1.0: decimal lines before the content, filled up to a block."""
        wanted, numbers, rest = 1, list[int](), b""
        for _ in range(_MAP_BLOCKS_MAX):
            if len(numbers) >= wanted:
                return _pairs(numbers[1:wanted])
            if self._left < BLOCK:
                break
            rest += self._stream.take(BLOCK)
            self._left -= BLOCK
            *lines, rest = rest.split(b"\n")
            numbers += [decimal(line) for line in lines if line.strip(b"\0")]
            if numbers:
                wanted = 1 + 2 * numbers[0]
        raise ImageError("a sparse file's map is too long, or not complete")


def _xattrs(pax: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key[len(_XATTR) :]: value for key, value in pax.items() if key.startswith(_XATTR)}


def _owner(header: bytes, pax: dict[bytes, bytes]) -> tuple[int, int, int]:
    """Mode, user and group; of a header, what pax says otherwise is not even looked at."""
    mode = number(header[100:108]) & 0o7777
    uid = decimal(pax[b"uid"]) if b"uid" in pax else number(header[108:116])
    gid = decimal(pax[b"gid"]) if b"gid" in pax else number(header[116:124])
    return mode, uid, gid


def _old_segments(fields: bytes) -> list[Segment]:
    places = range(0, len(fields) - 23, 24)
    found = (Segment(number(fields[at : at + 12]), number(fields[at + 12 : at + 24])) for at in places)
    return [segment for segment in found if segment.size or segment.offset]


def _pairs(numbers: list[int]) -> list[Segment]:
    if len(numbers) % 2:
        raise ImageError("a sparse file's map is not complete")
    return [Segment(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
