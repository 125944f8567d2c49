"""What a new volume begins with: what the image has in the place where it is mounted.

The layers are put on each other as overlayfs would show them; they are hostile, but never change. In the
volume nothing is reached by a path: each name is made anew, in a directory that was opened without following
a link. So even somebody who changed the volume meanwhile could not lead what is written out of it.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kwhost.core.abi.openat2 import open_beneath
from kwhost.core.errors import HostError
from kwhost.core.images.image import Image
from kwhost.core.model.mounts import MountKind

__all__ = ["fill_volume"]

# Directories in each other; more than any program needs.
_DEPTH_MAX = 200
_LINKS_MAX = 40  # as the kernel has it
# Bytes that are remembered of files with several names; names of others become files of their own.
_REMEMBERED_MAX, _ENTRY = 16 << 20, 300
# Attributes that layers keep, and those among them that are notes of overlayfs's.
_USER, _OVERLAY = "user.", "user.overlay."
_OPAQUE = "user.overlay.opaque"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def fill_volume(files: Path, image: Image, target: str, first_id: int = 0) -> None:
    """Give an empty volume the files that the image has at `target`, with their owners, counted from
    `first_id`. An ordinary user, who may not give files away, gets an empty one. Raises HostError, with what
    is done by then."""
    if os.geteuid() != 0 or not image.digest or image.mounts[0].kind is not MountKind.OVERLAY:
        return
    layers = [Path(layer) for layer in (image.mounts[0].source or "").split(":")]
    try:
        if sources := _found(layers, target):
            with _opened(files, _DIRECTORY) as volume:
                _Filling(volume, first_id).fill(volume, sources)
    except OSError as error:
        reason = error.strerror or error
        raise HostError(f"cannot copy what the image has at {target} into the volume: {reason}") from error


# What the layers show. Directories that are merged are listed from the uppermost down.


def _found(layers: Sequence[Path], target: str) -> Sequence[Path]:
    """The directories that make up a place in the root; links of the image's lead on, within the root, as
    they lead the mount."""
    wanted, way, links = target.split("/")[::-1], [layers], 0
    while wanted:
        name = wanted.pop()
        if name == "..":
            way = way[:-1] or [layers]
        elif link := _link(way[-1], name):
            links += 1
            if links > _LINKS_MAX:
                return ()
            way = [layers] if link.startswith("/") else way
            wanted += link.split("/")[::-1]
        elif name not in ("", "."):
            way = [*way, _merged(way[-1], name)]
    return way[-1]


def _link(directories: Sequence[Path], name: str) -> str | None:
    """Where the link of a name leads; None where it is none."""
    for directory in directories if name not in ("", ".") else ():
        with suppress(FileNotFoundError):
            mode = (directory / name).lstat().st_mode
            return os.readlink(directory / name) if stat.S_ISLNK(mode) else None
    return None


def _merged(directories: Sequence[Path], name: str) -> list[Path]:
    """The directories that make up the one of a name; none where the uppermost has something else there."""
    merged = []
    for directory in directories:
        path = directory / name
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(mode):
            break
        merged.append(path)
        if _is_opaque(path):
            break
    return merged


def _is_opaque(directory: Path) -> bool:
    try:
        return bool(os.getxattr(directory, _OPAQUE, follow_symlinks=False))
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return False


def _shown(directories: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """All names in merged directories, each with the uppermost that has it: what takes it away, too. There
    may be millions: none is remembered."""
    for number, directory in enumerate(directories):
        with os.scandir(directory) as entries:
            for entry in entries:
                if not any(os.path.lexists(above / entry.name) for above in directories[:number]):
                    yield entry.name, directory / entry.name


# What is made of it.


class _Filling:
    """Copies into the opened directory `root`, once; owners are counted from `first_id`."""

    def __init__(self, root: int, first_id: int) -> None:
        self._root = root
        self._first = first_id
        self._links: dict[tuple[int, int], tuple[str, str]] = {}  # where a file with several names is
        self._room = _REMEMBERED_MAX

    def fill(self, target: int, sources: Sequence[Path], path: str = ".", depth: int = 0) -> None:
        if depth > _DEPTH_MAX:
            raise OSError(errno.ENAMETOOLONG, f"more than {_DEPTH_MAX} directories in each other")
        for name, source in _shown(sources):
            status = source.lstat()
            if stat.S_ISDIR(status.st_mode):
                os.mkdir(name, 0o700, dir_fd=target)
                with _opened(name, _DIRECTORY, target) as made:
                    self.fill(made, _merged(sources, name), f"{path}/{name}", depth + 1)
            elif stat.S_ISREG(status.st_mode):
                self._make_file(source, target, path)
            elif stat.S_ISLNK(status.st_mode):
                os.symlink(source.readlink(), name, dir_fd=target)
                os.chown(name, *self._owner(status), dir_fd=target, follow_symlinks=False)
                os.utime(name, ns=_times(status), dir_fd=target, follow_symlinks=False)
        with _opened(sources[0], _DIRECTORY) as uppermost:
            self._finish(uppermost, target)

    def _make_file(self, source: Path, target: int, path: str) -> None:
        with _opened(source, _FILE) as content:
            status = os.fstat(content)
            if known := self._links.get((status.st_dev, status.st_ino)):
                self._add_name(*known, source.name, target)
                return
            with _opened(source.name, _NEW_FILE, target) as made:
                _copy(content, made, status.st_size)
                self._finish(content, made)
        if status.st_nlink > 1 and self._room > 0:
            self._room -= len(path) + len(source.name) + _ENTRY
            self._links[status.st_dev, status.st_ino] = path, source.name

    def _add_name(self, path: str, known: str, name: str, target: int) -> None:
        directory = open_beneath(self._root, path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.link(known, name, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(directory)

    def _finish(self, source: int, target: int) -> None:
        """Give an opened file what another one has besides its content."""
        status = os.fstat(source)
        os.fchown(target, *self._owner(status))
        os.fchmod(target, stat.S_IMODE(status.st_mode))
        for name in os.listxattr(source):
            if name.startswith(_USER) and not name.startswith(_OVERLAY):
                os.setxattr(target, name, os.getxattr(source, name))
        os.utime(target, ns=_times(status))

    def _owner(self, status: os.stat_result) -> tuple[int, int]:
        return self._first + status.st_uid, self._first + status.st_gid


@contextmanager
def _opened(path: Path | str, flags: int, directory: int | None = None) -> Iterator[int]:
    fd = os.open(path, flags, 0o600, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _copy(source: int, target: int, size: int) -> None:
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
        end = os.lseek(source, at, os.SEEK_HOLE)
        os.lseek(target, at, os.SEEK_SET)
        while at < end and (sent := os.sendfile(target, source, at, end - at)):
            at += sent


def _times(status: os.stat_result) -> tuple[int, int]:
    return status.st_atime_ns, status.st_mtime_ns
