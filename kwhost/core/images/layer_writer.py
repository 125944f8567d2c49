"""Makes a layer's directory from a layer's archive, which is hostile, for use beneath an overlay.

Every path is resolved by the kernel with the layer's directory as the root, so that neither `..` nor a link
leads out of it. What the archive takes away from the layers below becomes what overlayfs means by it: a
character device 0/0 for a name, and an attribute for all of a directory (`opaque` lists these, for those
kernels that look for another one). An archive can make neither by itself: devices are never made, and
of extended attributes only those that belong to users are kept.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from kwhost.core.abi.openat2 import open_in_root
from kwhost.core.errors import ImageError
from kwhost.core.images.tar_reader import Entry, Kind, TarReader
from kwhost.core.model.ids import FULL_RANGE

__all__ = ["LayerBounds", "LayerResult", "write_layer"]

# Looking a member of an enumeration up takes Python long.
_FILE, _DEVICES = Kind.FILE, (Kind.CHARACTER, Kind.BLOCK)
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_RESERVED = b".wh..wh."
_OVERLAY_OPAQUE = "user.overlay.opaque"
_USER = b"user."
_OVERLAY = b"user.overlay."
# Set-user-ID bits do nothing in an instance, and might elsewhere. Of a directory they mean something else.
_FILE_MODES = stat.S_ISVTX | 0o777
_DIRECTORY_MODES = stat.S_ISVTX | stat.S_ISGID | 0o777
_LAST_SECOND = 2**33
_OPAQUE_MAX = 10_000
_OPAQUE_BYTES_MAX = 1 << 20  # of all their paths
_BLOCK = 4096
_SHORT_LINK = 59  # bytes, which an inode has itself


class LayerBounds(NamedTuple):
    """The most that a layer may have: entries, bytes that it takes of the disk, bytes of one file with its
    holes, directories within each other; and whether files may have holes. `limit` says what bounds the
    size."""

    entries: int = 2_000_000
    size: int = 1 << 36
    file: int = 1 << 40
    depth: int = 256
    holes: bool = True
    limit: str = "there is room for"


class LayerResult(NamedTuple):
    """What was made: bytes that it takes, entries, those that were left out (devices), and the directories
    that hide what the layers below have of them."""

    size: int
    entries: int
    left_out: int
    opaque: tuple[bytes, ...]


_BOUNDS = LayerBounds()


def write_layer(
    root: int, archive: TarReader, bounds: LayerBounds = _BOUNDS, *, one_owner: bool = False
) -> LayerResult:
    """Make what an archive has in the empty directory `root`. `one_owner`: everything belongs to this
    process's user, who cannot have others. Modes are the archive's where the process has the umask 0. Raises
    ImageError."""
    writer = _Writer(root, bounds, one_owner=one_owner)
    try:
        for entry in archive.entries():
            writer.add(entry, archive)
        return writer.finish()
    finally:
        writer.close()


def _parts(name: bytes) -> list[bytes]:
    """The names on the way to an entry."""
    parts = name.split(b"/")
    if b".." in parts:
        raise ImageError(f"the layer's entry {_shown(name)} has '..' in its name")
    if b"" in parts or b"." in parts:
        return [part for part in parts if part not in (b"", b".")]
    return parts


def _shown(name: bytes) -> str:
    return ascii(os.fsdecode(name[:200]))


class _Parent(NamedTuple):
    """An opened directory; whether what is made in it belongs to this process's group, by whatever rule."""

    parts: list[bytes]
    fd: int
    is_ours: bool


class _Writer:
    def __init__(self, root: int, bounds: LayerBounds, *, one_owner: bool) -> None:
        self._root = root
        self._bounds = bounds
        self._one_owner = one_owner
        self._entries = self._size = self._left_out = 0
        self._opaque: dict[bytes, None] = {}
        self._opaque_bytes = 0
        self._times: dict[bytes, int] = {}  # of directories, set at the end
        # The last entry's directory as the archive writes it, by its names, and opened: archives go by
        # directories.
        self._head = b"/"  # as none is written
        self._above: list[bytes] = []
        self._parent: _Parent | None = None
        self._us = os.geteuid(), os.getegid()

    def close(self) -> None:
        """Let go of what is opened."""
        if self._parent:
            os.close(self._parent.fd)
        self._parent = None

    def finish(self) -> LayerResult:
        """What came of it."""
        for path, seconds in self._times.items():
            with suppress(OSError):  # replaced since
                directory = open_in_root(self._root, os.fsdecode(path), os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.utime(directory, (seconds, seconds))
                finally:
                    os.close(directory)
        return LayerResult(self._size, self._entries, self._left_out, tuple(self._opaque))

    def add(self, entry: Entry, archive: TarReader) -> None:
        """Make one entry."""
        self._count(entry)
        head, _, name = entry.name.rpartition(b"/")
        try:
            if head == self._head and name and not name.startswith(b"."):  # beside the last one, as most are
                self._add(entry, self._above, name, archive)
            else:
                self._add_anywhere(entry, archive)
        except OSError as error:
            raise ImageError(f"cannot unpack the layer's {_shown(entry.name)}: {error.strerror}") from error
        except ValueError as error:  # a NUL character
            raise ImageError(f"the layer's entry {_shown(entry.name)} has an impossible name") from error

    def _add_anywhere(self, entry: Entry, archive: TarReader) -> None:
        parts = _parts(entry.name)
        if len(parts) > self._bounds.depth:
            raise ImageError(f"the layer's entry {_shown(entry.name)} lies too deep")
        if not parts:
            self._add_root(entry)
        elif parts[-1].startswith(_WHITEOUT):
            self._take_away(parts)
        else:
            head, _, name = entry.name.rpartition(b"/")
            if name == parts[-1]:  # neither nothing nor a dot, behind which there would be another name
                self._head, self._above = head, parts[:-1]
            self._add(entry, parts[:-1], parts[-1], archive)

    def _count(self, entry: Entry) -> None:
        self._entries += 1
        bounds = self._bounds
        if self._entries > bounds.entries:
            raise ImageError(f"the layer has more than {bounds.entries} entries")
        self._grow(_room(entry))
        if entry.segments is not None and not bounds.holes:
            raise ImageError(f"the archive's {_shown(entry.name)} is a sparse file, which no image has")
        if entry.size > bounds.file:
            raise ImageError(f"the layer's {_shown(entry.name)} claims to have {entry.size} bytes")

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._bounds.size:
            text = f"which is all {self._bounds.limit}"
            raise ImageError(f"the layer takes more than {self._bounds.size} bytes, {text}")

    def _open_parent(self, parts: list[bytes]) -> int:
        """The directory of an entry, made where it is not there. It stays opened until the next one."""
        if self._parent and self._parent.parts == parts:
            return self._parent.fd
        self.close()
        path = os.fsdecode(b"/".join(parts)) or "."
        try:
            fd = open_in_root(self._root, path, _DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            self._make_parent(parts)
            self.close()
            fd = open_in_root(self._root, path, _DIRECTORY)
        self._parent = _Parent(parts, fd, os.fstat(fd).st_gid == self._us[1])
        return fd

    def _make_parent(self, parts: list[bytes]) -> None:
        """Make a directory that is not there, or that is taken away from the layers below."""
        above, name = self._open_parent(parts[:-1]), parts[-1]
        self._grow(_BLOCK)
        try:
            os.mkdir(name, 0o755, dir_fd=above)
        except FileExistsError:
            if stat.S_ISCHR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=above)
                os.mkdir(name, 0o755, dir_fd=above)
                self._make_opaque(above, parts)

    def _add(self, entry: Entry, above: list[bytes], name: bytes, archive: TarReader) -> None:
        kind = entry.kind
        if kind is not _FILE and kind in _DEVICES:
            self._left_out += 1
            return
        parent = self._open_parent(above)
        if kind is _FILE:
            self._create(parent, name, lambda: self._make_file(entry, archive, parent, name))
        elif kind is Kind.DIRECTORY:
            self._add_directory(entry, [*above, name], parent)
        elif kind is Kind.SYMLINK:
            self._create(parent, name, lambda: self._make_symlink(entry, parent, name))
        elif kind is Kind.LINK:
            self._link_again(entry, parent, [*above, name])
        else:
            self._create(parent, name, lambda: os.mkfifo(name, 0o600, dir_fd=parent))
            self._own(entry, name, parent)
            os.chmod(name, entry.mode & _FILE_MODES, dir_fd=parent)

    def _create(self, parent: int, name: bytes, make: Callable[[], None]) -> None:
        """Make something; what an earlier entry made under that name goes."""
        try:
            make()
        except FileExistsError:
            self._remove(parent, name)
            make()

    def _remove(self, parent: int, name: bytes) -> None:
        """Remove whatever has the name, with all that is in it."""
        with suppress(IsADirectoryError):
            return os.unlink(name, dir_fd=parent)
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            for each in os.listdir(directory):
                self._remove(directory, os.fsencode(each))
        finally:
            os.close(directory)
        return os.rmdir(name, dir_fd=parent)

    def _add_root(self, entry: Entry) -> None:
        if entry.kind is Kind.DIRECTORY:
            self.close()  # it may be the parent, and get another group
            self._set_directory(entry, self._root, b".")

    def _add_directory(self, entry: Entry, parts: list[bytes], parent: int) -> None:
        name = parts[-1]
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(there.st_mode):
                self._remove(parent, name)
                os.mkdir(name, 0o700, dir_fd=parent)
                if stat.S_ISCHR(there.st_mode):  # the one below is taken away, and a new one comes
                    self._make_opaque(parent, parts)
        self._set_directory(entry, parent, name, b"/".join(parts))

    def _set_directory(self, entry: Entry, parent: int, name: bytes, path: bytes = b".") -> None:
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            self._own(entry, directory)
            os.fchmod(directory, entry.mode & _DIRECTORY_MODES)
            self._set_attributes(entry, directory)
        finally:
            os.close(directory)
        self._times[path] = min(entry.mtime, _LAST_SECOND)

    def _make_file(self, entry: Entry, archive: TarReader, parent: int, name: bytes) -> None:
        file = os.open(name, _NEW_FILE, entry.mode & _FILE_MODES, dir_fd=parent)
        try:
            if entry.segments is not None:
                _write_segments(entry, archive, file)
            elif entry.stored:
                for piece in archive.pieces():
                    _write(file, piece)
            if not (self._parent and self._parent.is_ours and (entry.uid, entry.gid) == self._us):
                self._own(entry, file)  # even to 0: in some directories the group would be the directory's
            if entry.xattrs:
                self._set_attributes(entry, file)
            seconds = min(entry.mtime, _LAST_SECOND)
            os.utime(file, (seconds, seconds))
        finally:
            os.close(file)

    def _make_symlink(self, entry: Entry, parent: int, name: bytes) -> None:
        if not entry.link:
            raise ImageError(f"the layer's entry {_shown(entry.name)} is a link to nothing")
        os.symlink(entry.link, name, dir_fd=parent)
        self._own(entry, name, parent)

    def _link_again(self, entry: Entry, parent: int, parts: list[bytes]) -> None:
        """A further name of a file of this layer."""
        target = _parts(entry.link)
        if not target:
            raise ImageError(f"the layer's entry {_shown(entry.name)} is a hard link to a directory")
        if target == parts:
            return
        try:
            source = open_in_root(self._root, os.fsdecode(b"/".join(target[:-1])) or ".", _DIRECTORY)
            try:
                self._link(source, target[-1], parent, parts)
            finally:
                os.close(source)
        except (FileNotFoundError, NotADirectoryError):
            text = f"a hard link to {_shown(entry.link)}, which is not in the layer"
            raise ImageError(f"the layer's entry {_shown(entry.name)} is {text}") from None

    def _link(self, source: int, target: bytes, parent: int, parts: list[bytes]) -> None:
        there = os.stat(target, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(there.st_mode) or stat.S_ISCHR(there.st_mode):
            raise FileNotFoundError
        self._create(
            parent,
            parts[-1],
            lambda: os.link(target, parts[-1], src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False),
        )

    def _take_away(self, parts: list[bytes]) -> None:
        """A whiteout: it is about the layers below, never about what this layer has."""
        name = parts[-1]
        parent = self._open_parent(parts[:-1])
        if name == _OPAQUE:
            self._make_opaque_at(parent, b"/".join(parts[:-1]) or b".")
            return
        if name.startswith(_RESERVED):
            self._left_out += 1  # aufs's own records
            return
        hidden = name[len(_WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise ImageError(f"the layer takes {_shown(hidden)} away, which is no name")
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(hidden, dir_fd=parent, follow_symlinks=False).st_mode):
                self._make_opaque(parent, [*parts[:-1], hidden])

    def _make_opaque(self, parent: int, parts: list[bytes]) -> None:
        directory = os.open(parts[-1], _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            self._make_opaque_at(directory, b"/".join(parts))
        finally:
            os.close(directory)

    def _make_opaque_at(self, directory: int, path: bytes) -> None:
        self._opaque_bytes += len(path)
        if len(self._opaque) >= _OPAQUE_MAX or self._opaque_bytes > _OPAQUE_BYTES_MAX:
            raise ImageError(
                f"the layer replaces more than {_OPAQUE_MAX} directories, or by longer names than are taken"
            )
        opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.setxattr(opened, _OVERLAY_OPAQUE, b"y")
        finally:
            os.close(opened)
        self._opaque[path] = None

    def _own(self, entry: Entry, file: int | bytes, parent: int | None = None) -> None:
        """Give the archive's owner to an opened file, or to a name."""
        if self._one_owner:
            return
        if not (0 <= entry.uid < FULL_RANGE and 0 <= entry.gid < FULL_RANGE):
            owner = f"{entry.uid}:{entry.gid}"
            raise ImageError(
                f"the layer's entry {_shown(entry.name)} belongs to {owner}, and there are ids up to "
                f"{FULL_RANGE - 1} alone"
            )
        if isinstance(file, int):
            os.fchown(file, entry.uid, entry.gid)
        else:
            os.chown(file, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)

    def _set_attributes(self, entry: Entry, file: int) -> None:
        for name, value in _users_attributes(entry):
            try:
                os.setxattr(file, name, value)
            except OSError as error:
                what = f"the attribute {_shown(name)} of {len(value)} bytes"
                raise ImageError(
                    f"the layer's entry {_shown(entry.name)} has {what}, which the file system of the images "
                    f"does not take: {error.strerror}"
                ) from error


def _users_attributes(entry: Entry) -> list[tuple[bytes, bytes]]:
    """Those that belong to users. Capabilities do nothing in an instance, access lists name ids, and
    overlayfs's own would change what the layers show."""
    return [
        (name, value)
        for name, value in entry.xattrs.items()
        if name.startswith(_USER) and not name.startswith(_OVERLAY)
    ]


def _room(entry: Entry) -> int:
    """The bytes that an entry takes of a disk, which file systems give away in blocks."""
    size = entry.stored + -entry.stored % _BLOCK
    if entry.segments is not None:
        size += len(entry.segments) * _BLOCK  # each may begin within a block
    if entry.kind is Kind.DIRECTORY or (entry.kind is Kind.SYMLINK and len(entry.link) > _SHORT_LINK):
        size += _BLOCK
    if entry.xattrs:
        attributes = sum(len(name) + len(value) for name, value in _users_attributes(entry))
        size += attributes + -attributes % _BLOCK
    return size


def _write(file: int, piece: memoryview) -> None:
    while piece:
        piece = piece[os.write(file, piece) :]


def _write_segments(entry: Entry, archive: TarReader, file: int) -> None:
    """What the archive has of a sparse file, at its places; the rest are holes."""
    os.ftruncate(file, entry.size)
    assert entry.segments is not None
    segments = iter(entry.segments)
    at = left = 0
    for each in archive.pieces():
        piece = each
        while piece:
            if not left:
                at, left = next(segments)
            done = os.pwrite(file, piece[:left], at)
            at, left, piece = at + done, left - done, piece[done:]
