"""Unpacks a tar archive in a directory of an instance, which may change it at the same time.

Nothing is written outside of that directory. A file gets its name when it is complete, so nobody sees half of
one, and takes the place of what had the name at once. Set-user-ID bits are dropped; times are kept of files
only.
"""

import errno
import os
import secrets
import stat
import tarfile
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from kwhost.core.abi.openat2 import open_beneath, open_in_root
from kwhost.core.errors import UsageError
from kwhost.core.supervise.archive_errors import explain
from kwhost.core.supervise.archive_input import ArchiveInput

__all__ = ["WriteBounds", "unpack_archive"]

_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UNNAMED = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
_MODES = stat.S_ISVTX | 0o777
_NO_ID = 2**32 - 1  # means "leave it" to the kernel
_LAST_SECOND = 2**33


class WriteBounds(NamedTuple):
    """The most that is unpacked: directories within each other, entries, bytes of all files."""

    depth: int = 256
    entries: int = 1_000_000
    size: int = 1 << 40


_BOUNDS = WriteBounds()


def unpack_archive(
    root: int,
    path: str,
    source: BinaryIO,
    *,
    foreign_ids: bool = False,
    check: Callable[[], None] = lambda: None,
    bounds: WriteBounds = _BOUNDS,
) -> None:
    """Unpack what comes from `source` in the directory at `path` below the directory `root`.

    `foreign_ids`: owners that the instance cannot have are left out instead of refused. `check` is called
    again and again, and may raise. Entries before the one that cannot be unpacked stay. Raises NotFound,
    UsageError, PermissionDenied, Conflict, HostError.
    """
    try:
        directory = open_in_root(root, path or "/", _DIRECTORY)
    except OSError as error:
        raise explain(error, path) from error
    try:
        archive = ArchiveInput(source, check)
        unpacking = _Unpacking(directory, archive, bounds, foreign_ids=foreign_ids)
        while entry := archive.next_entry():
            unpacking.add(entry)
    finally:
        os.close(directory)


def _parts(name: str, entry: str) -> list[str]:
    """The names on the way to an entry; none: it is the directory itself. Raises UsageError."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not name or name.startswith("/") or ".." in parts or "\0" in name:
        raise UsageError(f"the archive's entry {entry!r} is refused: {name!r} may lead out of the directory")
    return parts


def _new_file(parent: int, name: str) -> tuple[int, bool]:
    """A new file, and whether it has that name already. One without a name goes by itself when this process
    is killed; not every file system has them."""
    with suppress(OSError):
        return os.open(".", _UNNAMED, 0o600, dir_fd=parent), False
    return os.open(name, _NEW_FILE, 0o600, dir_fd=parent), True


class _Unpacking:
    def __init__(
        self, directory: int, archive: ArchiveInput, bounds: WriteBounds, *, foreign_ids: bool
    ) -> None:
        self._directory = directory
        self._archive = archive
        self._bounds = bounds
        self._foreign_ids = foreign_ids
        self._entries = self._size = 0

    def add(self, entry: tarfile.TarInfo) -> None:
        """Unpack one entry; the directory itself stays as it is."""
        self._check(entry)
        parts = _parts(entry.name, entry.name)
        try:
            if parts:
                self._add(entry, parts)
        except OSError as error:
            raise explain(error, entry.name) from error

    def _check(self, entry: tarfile.TarInfo) -> None:
        self._entries += 1
        self._size += entry.size
        bounds = self._bounds
        if self._entries > bounds.entries or self._size > bounds.size or entry.size < 0:
            most = f"{bounds.entries} entries and {bounds.size >> 30} GiB"
            raise UsageError(f"the archive is too large at {entry.name!r}: it may have {most}")
        if entry.name.count("/") > bounds.depth:
            raise UsageError(
                f"the archive's entry {entry.name!r} lies in more than {bounds.depth} directories"
            )
        if entry.issparse() or not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
            text = "only files, directories and links can be unpacked, and no sparse files"
            raise UsageError(f"the archive's entry {entry.name!r} is refused: {text}")
        if not (0 <= entry.uid < _NO_ID and 0 <= entry.gid < _NO_ID):
            raise UsageError(f"the archive's entry {entry.name!r} has an owner that cannot be")

    def _add(self, entry: tarfile.TarInfo, parts: list[str]) -> None:
        parent = self._open_parent(parts)
        try:
            if entry.isdir():
                self._add_directory(entry, parts, parent)
            elif entry.issym():
                self._place(parent, parts[-1], lambda name: self._make_link(entry, parent, name))
            elif entry.islnk():
                self._place(parent, parts[-1], lambda name: self._link_again(entry, parent, name))
            else:
                self._place(parent, parts[-1], lambda name: self._make_file(entry, parent, name))
        finally:
            os.close(parent)

    def _open_parent(self, parts: list[str]) -> int:
        """The directory of an entry, made where it is not there."""
        above = parts[:-1]
        try:
            return open_beneath(self._directory, "/".join(above) or ".", _DIRECTORY)
        except FileNotFoundError:
            if not above:
                raise
        parent = self._open_parent(above)
        try:
            with suppress(FileExistsError):
                os.mkdir(above[-1], 0o755, dir_fd=parent)
        finally:
            os.close(parent)
        return open_beneath(self._directory, "/".join(above), _DIRECTORY)

    def _add_directory(self, entry: tarfile.TarInfo, parts: list[str], parent: int) -> None:
        with suppress(FileExistsError):
            os.mkdir(parts[-1], 0o700, dir_fd=parent)
        directory = open_beneath(self._directory, "/".join(parts), os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._own(entry, directory)
            os.chmod(directory, entry.mode & _MODES)
        finally:
            os.close(directory)

    def _place(self, parent: int, name: str, make: Callable[[str], None]) -> None:
        """Make something under a name that nothing has, and then give it its own."""
        temporary = f".kwhost-{secrets.token_hex(8)}"
        try:
            make(temporary)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            # Also after success: rename does nothing between two names of one file.
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=parent)

    def _make_file(self, entry: tarfile.TarInfo, parent: int, name: str) -> None:
        file, named = _new_file(parent, name)
        try:
            self._archive.copy(entry, file)
            self._own(entry, file)
            os.fchmod(file, entry.mode & _MODES)
            # A comparison with NaN is false, too.
            seconds = int(entry.mtime) if 0 <= entry.mtime < _LAST_SECOND else 0
            os.utime(file, (seconds, seconds))
            if not named:
                os.link(f"/proc/self/fd/{file}", name, dst_dir_fd=parent)
        finally:
            os.close(file)

    def _make_link(self, entry: tarfile.TarInfo, parent: int, name: str) -> None:
        if not entry.linkname or "\0" in entry.linkname:
            raise UsageError(f"the archive's entry {entry.name!r} is a link to nothing")
        os.symlink(entry.linkname, name, dir_fd=parent)
        self._own(entry, name, parent)

    def _link_again(self, entry: tarfile.TarInfo, parent: int, name: str) -> None:
        """A further name of a file that lies in the directory already."""
        parts = _parts(entry.linkname, entry.name)
        if not parts:
            raise UsageError(f"the archive's entry {entry.name!r} is a hard link to a directory")
        source = open_beneath(self._directory, "/".join(parts[:-1]) or ".", _DIRECTORY)
        try:
            os.link(parts[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            raise UsageError(
                f"the archive's entry {entry.name!r} is a hard link to {entry.linkname!r}, which is not there"
            ) from None
        finally:
            os.close(source)

    def _own(self, entry: tarfile.TarInfo, file: int | str, parent: int | None = None) -> None:
        """Give the archive's owner to an opened file, or to a name."""
        try:
            os.chown(file, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=isinstance(file, int))
        except OSError as error:
            if self._foreign_ids and error.errno in (errno.EINVAL, errno.EPERM):
                return
            if error.errno != errno.EINVAL:
                raise
            text = f"the instance has no user {entry.uid} or no group {entry.gid}"
            raise UsageError(f"the archive's entry {entry.name!r} is refused: {text}") from error
