"""What an empty volume begins with: what the image has in the place where it is mounted.

The layers are put on each other as overlayfs would show them. They are never changed, and nobody else has
the volume yet. What is in them is hostile: no link is followed, and only files, directories and symbolic
links are made.
"""

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from kwhost.core.errors import HostError
from kwhost.core.images.image import Image
from kwhost.core.images.removal import remove_tree
from kwhost.core.model.mounts import MountKind

__all__ = ["fill_volume"]

# Directories in each other; more than any program needs.
_DEPTH_MAX = 200
_OPAQUE = "user.overlay.opaque"


def fill_volume(files: Path, image: Image, target: str) -> None:
    """Give an empty volume the files that the image has at `target`, with their owners. An ordinary user, who
    may not give files away, gets an empty one. Raises HostError."""
    if os.geteuid() != 0 or not image.digest or image.mounts[0].kind is not MountKind.OVERLAY:
        return
    uppermost_first = (image.mounts[0].source or "").split(":")
    try:
        if any(files.iterdir()):
            return
        try:
            for layer in reversed(uppermost_first):
                _apply(Path(layer), target.strip("/").split("/"), files)
        except BaseException:
            _clear(files)
            raise
    except OSError as error:
        reason = error.strerror or error
        raise HostError(f"cannot copy what the image has at {target} into the volume: {reason}") from error


def _apply(layer: Path, names: list[str], files: Path) -> None:
    """Put what a layer has, or hides, on what those below have."""
    place = layer
    for name in names:
        place = place / name
        try:
            mode = place.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(mode) or _is_opaque(place):
            _clear(files)
        if not stat.S_ISDIR(mode):
            return
    _merge(place, files, 0)


def _clear(files: Path) -> None:
    for path in list(files.iterdir()):
        remove_tree(path)
    os.chown(files, 0, 0)
    files.chmod(0o755)


def _is_opaque(directory: Path) -> bool:
    try:
        return bool(os.getxattr(directory, _OPAQUE, follow_symlinks=False))
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        return False


def _merge(source: Path, target: Path, depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise OSError(errno.ENAMETOOLONG, f"more than {_DEPTH_MAX} directories in each other")
    for entry in list(source.iterdir()):
        _put(entry, target / entry.name, depth)
    _own(source, target)


def _put(source: Path, target: Path, depth: int) -> None:
    mode = source.lstat().st_mode
    directory = stat.S_ISDIR(mode) and not _is_opaque(source)
    with suppress(FileNotFoundError):
        if not (directory and stat.S_ISDIR(target.lstat().st_mode)):
            remove_tree(target)
    if stat.S_ISDIR(mode):
        target.mkdir(exist_ok=True)
        _merge(source, target, depth + 1)
    elif stat.S_ISREG(mode):
        shutil.copyfile(source, target, follow_symlinks=False)
        _own(source, target)
    elif stat.S_ISLNK(mode):
        target.symlink_to(source.readlink())
        _own(source, target)


def _own(source: Path, target: Path) -> None:
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        target.chmod(stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
