"""Makes a tar archive (PAX) of what is at a path in an instance, while the instance may change it.

Left out are devices, sockets and named pipes, what vanishes meanwhile, and what the caller may not read: it
has the rights of the instance's own root (archive_process). A file that becomes shorter while it is read is
filled up with zeros, of one that grows the beginning is taken, so the archive is always a valid one.
"""

import errno
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from kwhost.core.abi.openat2 import open_beneath, open_in_root
from kwhost.core.errors import UsageError
from kwhost.core.supervise.archive_errors import explain

__all__ = ["ReadBounds", "write_archive_of"]

_PIECE = 256 * 1024
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# What befalls an entry that was listed a moment ago: it is gone, became something else, or is closed.
_LEFT_OUT = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV)
)
_KINDS = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE}


class ReadBounds(NamedTuple):
    """The most that is read: directories within each other, entries, bytes of all files."""

    depth: int = 256
    entries: int = 1_000_000
    size: int = 1 << 40


_BOUNDS = ReadBounds()


def write_archive_of(
    root: int,
    path: str,
    output: BinaryIO,
    check: Callable[[], None] = lambda: None,
    bounds: ReadBounds = _BOUNDS,
    *,
    host_ids: bool = False,
) -> None:
    """Write the archive of the file or directory at `path` below the directory `root`.

    Its entries begin with the last name of `path` (`.` for the root itself). A symbolic link is what is
    copied, unless `path` ends with a slash. `check` is called again and again, and may raise. `host_ids`:
    owners mean nothing to anybody else, and root stands for them. Raises NotFound, UsageError,
    PermissionDenied, HostError.
    """
    archive = _Archive(output, check, bounds, host_ids=host_ids)
    name = posixpath.basename(posixpath.normpath("/" + path.strip("/"))) or "."
    try:
        if posixpath.basename(path) in ("", ".", ".."):
            archive.add_directory(open_in_root(root, path or "/", os.O_RDONLY | os.O_DIRECTORY), name, 0)
        else:
            parent = open_in_root(root, posixpath.dirname(path) or "/", os.O_PATH | os.O_DIRECTORY)
            try:
                archive.add(parent, name, name, 0)
            finally:
                os.close(parent)
    except OSError as error:
        raise explain(error, path) from error
    if not archive.entries:
        raise UsageError(f"{path} is neither a file nor a directory nor a symbolic link")
    output.write(bytes(2 * tarfile.BLOCKSIZE))
    output.flush()


class _Archive:
    """Descriptors that are passed in are the caller's, but for add_directory's."""

    def __init__(
        self, output: BinaryIO, check: Callable[[], None], bounds: ReadBounds, *, host_ids: bool
    ) -> None:
        self._host_ids = host_ids
        self.entries = 0
        self._size = 0
        self._output = output
        self._check = check
        self._bounds = bounds
        self._linked: dict[tuple[int, int], str] = {}  # files with several names: the first one's place

    def add(self, parent: int, name: str, place: str, depth: int) -> None:
        """Add what `name` in a directory is, as `place` in the archive. Raises OSError."""
        self._check()
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        match stat.S_IFMT(status.st_mode):
            case stat.S_IFREG:
                self._add_file(open_beneath(parent, name, _FILE), place)
            case stat.S_IFDIR:
                self.add_directory(open_beneath(parent, name, _DIRECTORY), place, depth)
            case stat.S_IFLNK:
                self._begin(status, place, target=os.readlink(name, dir_fd=parent))

    def add_directory(self, directory: int, place: str, depth: int) -> None:
        """Add an opened directory with everything in it, and close it."""
        try:
            if depth > self._bounds.depth:
                raise UsageError(f"{place} lies in more than {self._bounds.depth} directories")
            self._begin(os.fstat(directory), place)
            with os.scandir(directory) as entries:
                for entry in entries:
                    try:
                        self.add(directory, entry.name, f"{place}/{entry.name}", depth + 1)
                    except OSError as error:
                        if error.errno not in _LEFT_OUT:
                            raise explain(error, f"{place}/{entry.name}") from error
        finally:
            os.close(directory)

    def _add_file(self, file: int, place: str) -> None:
        try:
            status = os.fstat(file)
            key = (status.st_dev, status.st_ino)
            if not stat.S_ISREG(status.st_mode):
                return
            if key in self._linked:
                self._begin(status, place, link=self._linked[key])
                return
            try:
                first = os.read(file, min(_PIECE, status.st_size))
            except OSError:
                if status.st_blocks:
                    raise
                return  # one that the kernel makes up, as those in /sys, and has nothing to say in
            self._begin(status, place)
            self._copy(file, first, status.st_size)
            if status.st_nlink > 1:
                self._linked[key] = place
        finally:
            os.close(file)

    def _copy(self, file: int, piece: bytes, size: int) -> None:
        """Write exactly `size` bytes, and what fills the last block; `piece` was read already."""
        left = size
        while left:
            self._check()
            piece = piece or bytes(min(_PIECE, left))
            self._output.write(piece)
            left -= len(piece)
            piece = os.read(file, min(_PIECE, left))
        self._output.write(bytes(-size % tarfile.BLOCKSIZE))

    def _begin(self, status: os.stat_result, place: str, *, target: str = "", link: str = "") -> None:
        """Write the header of an entry: of a symbolic link to `target`, or another name of `link`."""
        entry = tarfile.TarInfo(place)
        entry.type = tarfile.LNKTYPE if link else _KINDS[stat.S_IFMT(status.st_mode)]
        entry.linkname = target or link
        entry.mode = stat.S_IMODE(status.st_mode)
        entry.uid, entry.gid = (0, 0) if self._host_ids else (status.st_uid, status.st_gid)
        entry.mtime = int(status.st_mtime)
        entry.size = status.st_size if entry.isreg() else 0
        self.entries += 1
        self._size += entry.size
        if self.entries > self._bounds.entries or self._size > self._bounds.size:
            most = f"{self._bounds.entries} entries and {self._bounds.size >> 30} GiB"
            raise UsageError(f"{place} is too much for one copy, which may have {most}")
        self._output.write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
