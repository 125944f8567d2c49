"""Copies what layers show together into an empty directory.

The layers are put on each other as overlayfs would show them. Nothing is reached by a path: each name is
opened, or made, in a directory that was opened without following a link. So whoever changes either side
meanwhile leads neither what is read nor what is written out of its tree.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from kwhost.core.abi.openat2 import open_beneath

__all__ = ["Copied", "TreeCopy"]

_DEPTH_MAX = 256  # directories in each other, as layers may have them
# Bytes that are remembered of files with several names; names of others become files of their own.
_REMEMBERED_MAX, _ENTRY = 16 << 20, 300
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPAQUE = "user.overlay.opaque"
# Capabilities do nothing in an instance; overlayfs's own attributes are its notes.
_KEPT_ATTRIBUTES = ("user.", "system.posix_acl_")
_NOTES = "user.overlay."
# Set-user-ID bits do nothing in an instance, and might elsewhere. Of a directory they mean something else.
_FILE_MODES = stat.S_ISVTX | 0o777
_DIRECTORY_MODES = stat.S_ISVTX | stat.S_ISGID | 0o777
_BLOCK = 4096
_FICLONE = 0x40049409  # from <linux/fs.h>
_CANNOT_CLONE = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ETXTBSY)


class Copied(NamedTuple):
    """What was copied: the bytes that files and directories take, without holes, how many were left
    out (devices, sockets, and what may not be read), and whether the contents of all files are shared with
    the layers' on the disk (reflinks)."""

    size: int
    left_out: int
    reflinked: bool


class TreeCopy:
    """Copies into the opened directory `root`, once. `owners`: files get those that they have, counted from
    `first_id`; otherwise they are this process's own, who cannot give files away. `most`: bytes that it may
    take (EDQUOT), which may be more than the layers do: of files with very many names some become several.
    `opened`: directories of layers that may be open at once."""

    def __init__(
        self,
        root: int,
        *,
        owners: bool = True,
        first_id: int = 0,
        most: int | None = None,
        opened: int = 2000,
    ) -> None:
        self._root = root
        self._owners = owners
        self._first = first_id
        self._most = most
        self._open_most = opened
        self._links: dict[tuple[int, int], tuple[str, str]] = {}  # where a file with several names is
        self._room = _REMEMBERED_MAX
        self._clones = True
        self._cloned = self._copied = False
        self._size = self._left_out = self._open = 0

    def fill(self, layers: Sequence[int]) -> Copied:
        """Copy what these opened directories show, the uppermost first. Raises OSError, with what is done by
        then."""
        self._fill(self._root, layers, "", 0)
        return Copied(self._size, self._left_out, self._cloned and not self._copied)

    def _fill(self, target: int, sources: Sequence[int], path: str, depth: int) -> None:
        if depth > _DEPTH_MAX:
            raise OSError(errno.ENAMETOOLONG, f"more than {_DEPTH_MAX} directories in each other")
        for name, source in _shown(sources):
            with suppress(FileNotFoundError):  # it went meanwhile
                self._copy(name, source, target, sources, path, depth)
        self._finish(sources[0], target, _DIRECTORY_MODES)

    def _copy(
        self, name: str, source: int, target: int, sources: Sequence[int], path: str, depth: int
    ) -> None:
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            with self._merged(sources, name) as below:
                if below:
                    self._count(_BLOCK)
                    os.mkdir(name, 0o700, dir_fd=target)
                    with _opened(name, _DIRECTORY, target) as made:
                        self._fill(made, below, f"{path}{name}/", depth + 1)
        elif stat.S_ISREG(status.st_mode):
            self._copy_file(name, source, target, path)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            self._own(name, status, target)
            os.utime(name, ns=_times(status), dir_fd=target, follow_symlinks=False)
        elif stat.S_ISFIFO(status.st_mode):
            self._make_pipe(name, status, target)
        elif not _is_whiteout(status):
            self._left_out += 1

    def _count(self, size: int) -> None:
        self._size += size
        if self._most is not None and self._size > self._most:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    # Directories.

    @contextmanager
    def _merged(self, directories: Sequence[int], name: str) -> Iterator[list[int]]:
        """The directories that make up the one of a name; none where the uppermost has something else."""
        with ExitStack() as held:
            merged: list[int] = []
            for directory in directories:
                try:
                    fd = held.enter_context(_opened(name, _DIRECTORY, directory))
                except FileNotFoundError:
                    continue
                except PermissionError:
                    self._left_out += 1
                    break
                except OSError as error:
                    if error.errno in (errno.ENOTDIR, errno.ELOOP):
                        break
                    raise
                merged.append(fd)
                self._open += 1
                if self._open > self._open_most:
                    raise OSError(errno.EMFILE, "too many layers have directories too deep in each other")
                if _is_opaque(fd):
                    break
            try:
                yield merged
            finally:
                self._open -= len(merged)

    # Files.

    def _copy_file(self, name: str, source: int, target: int, path: str) -> None:
        with ExitStack() as held:
            try:
                content = held.enter_context(_opened(name, _FILE, source))
            except PermissionError:
                self._left_out += 1
                return
            status = os.fstat(content)
            if not stat.S_ISREG(status.st_mode):  # it was replaced
                return
            place = status.st_dev, status.st_ino
            if place in self._links:
                self._link(*self._links[place], name, target)
                return
            size = status.st_size + -status.st_size % _BLOCK
            self._count(min(size, max(status.st_blocks * 512, _BLOCK)))
            made = held.enter_context(_opened(name, _NEW_FILE, target))
            self._copy_content(content, made, status.st_size)
            self._finish(content, made, _FILE_MODES)
        if status.st_nlink > 1 and self._room > 0:
            self._room -= len(path) + len(name) + _ENTRY
            self._links[place] = path, name

    def _link(self, path: str, known: str, name: str, target: int) -> None:
        directory = open_beneath(self._root, path or ".", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.link(known, name, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(directory)

    def _copy_content(self, source: int, target: int, size: int) -> None:
        if not size:
            return
        if self._clones:
            try:
                fcntl.ioctl(target, _FICLONE, source)
            except OSError as error:
                if error.errno not in _CANNOT_CLONE:
                    raise
                self._clones = False
            else:
                self._cloned = True
                return
        self._copied = True
        _copy_data(source, target, size)

    def _make_pipe(self, name: str, status: os.stat_result, target: int) -> None:
        os.mkfifo(name, 0o600, dir_fd=target)
        with _opened(name, _FILE, target) as made:
            if stat.S_ISFIFO(os.fstat(made).st_mode):  # else it was replaced
                self._own(made, status)
                os.fchmod(made, status.st_mode & _FILE_MODES)  # whatever this process's umask is
                os.utime(made, ns=_times(status))

    # What files and directories have besides.

    def _finish(self, source: int, target: int, modes: int) -> None:
        status = os.fstat(source)
        self._own(target, status)
        os.fchmod(target, status.st_mode & modes)
        for name in os.listxattr(source):
            if name.startswith(_KEPT_ATTRIBUTES) and not name.startswith(_NOTES):
                os.setxattr(target, name, os.getxattr(source, name))
        os.utime(target, ns=_times(status))

    def _own(self, file: int | str, status: os.stat_result, directory: int | None = None) -> None:
        """Give the same owner to an opened file, or to a name."""
        if not self._owners:
            return
        follow = isinstance(file, int)
        try:
            uid, gid = self._first + status.st_uid, self._first + status.st_gid
            os.chown(file, uid, gid, dir_fd=directory, follow_symlinks=follow)
        except OSError as error:
            if error.errno != errno.EINVAL:  # somebody who has no number in this user namespace
                raise


def _shown(directories: Sequence[int]) -> Iterator[tuple[str, int]]:
    """All names in merged directories, each with the uppermost that has it: what takes it away, too. There
    may be millions: none is remembered."""
    for number, directory in enumerate(directories):
        with os.scandir(directory) as entries:
            for entry in entries:
                if not any(_has(above, entry.name) for above in directories[:number]):
                    yield entry.name, directory


def _has(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_opaque(directory: int) -> bool:
    """Whether it hides what the layers below have there."""
    return _OPAQUE in os.listxattr(directory) and os.getxattr(directory, _OPAQUE) == b"y"


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


@contextmanager
def _opened(name: str, flags: int, directory: int) -> Iterator[int]:
    fd = os.open(name, flags, 0o600, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _copy_data(source: int, target: int, size: int) -> None:
    """Holes stay holes."""
    os.ftruncate(target, size)
    end = 0
    while end < size:
        try:
            at = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return  # a hole up to the end
        end = min(os.lseek(source, at, os.SEEK_HOLE), size)
        while at < end and (sent := _send(source, target, end - at, at)):
            at += sent


def _send(source: int, target: int, count: int, at: int) -> int:
    """Copy within the kernel; how much was."""
    try:
        return os.copy_file_range(source, target, count, at, at)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    os.lseek(target, at, os.SEEK_SET)
    return os.sendfile(target, source, at, count)


def _times(status: os.stat_result) -> tuple[int, int]:
    return status.st_atime_ns, status.st_mtime_ns
