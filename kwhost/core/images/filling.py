"""What a new volume begins with: what the image has in the place where it is mounted.

The layers are hostile, but never change; what is in the volume may be changed meanwhile (tree_copy).
"""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from kwhost.core.errors import HostError
from kwhost.core.images.image import Image
from kwhost.core.images.tree_copy import TreeCopy
from kwhost.core.model.mounts import MountKind

__all__ = ["fill_volume"]

_LINKS_MAX = 40  # as the kernel has it
_OPAQUE = "user.overlay.opaque"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def fill_volume(files: Path, image: Image, target: str, first_id: int = 0) -> None:
    """Give an empty volume the files that the image has at `target`, with their owners, counted from
    `first_id`. An ordinary user, who may not give files away, gets an empty one. Raises HostError, with what
    is done by then."""
    if os.geteuid() != 0 or not image.digest or image.mounts[0].kind is not MountKind.OVERLAY:
        return
    layers = [Path(layer) for layer in (image.mounts[0].source or "").split(":")]
    try:
        with ExitStack() as held:
            sources = [_opened(path, held) for path in _found(layers, target)]
            if sources:
                TreeCopy(_opened(files, held), first_id=first_id).fill(sources)
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


def _opened(path: Path, held: ExitStack) -> int:
    fd = os.open(path, _DIRECTORY)
    held.callback(os.close, fd)
    return fd
