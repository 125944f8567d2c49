"""What layers show that are put on each other, as overlayfs would, without mounting anything.

They are hostile, but never change: links of theirs are followed here, within the layers. Layers, and
directories that are merged, are listed from the uppermost down.
"""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["find_directories", "find_file"]

_LINKS_MAX = 40  # as the kernel has it
_STEPS_MAX = 4096
_OPAQUE = "user.overlay.opaque"


def find_directories(layers: Sequence[Path], target: str) -> Sequence[Path]:
    """The directories that make up the one at a place in the root; none where there is none. Raises
    OSError."""
    directories, name = _find(layers, target)
    return _merged(directories, name) if name else directories


def find_file(layers: Sequence[Path], target: str) -> Path | None:
    """The plain file at a place in the root. Raises OSError."""
    directories, name = _find(layers, target)
    for directory in directories if name else ():
        with suppress(FileNotFoundError):
            mode = (directory / name).lstat().st_mode
            return directory / name if stat.S_ISREG(mode) else None
    return None


def _find(layers: Sequence[Path], target: str) -> tuple[Sequence[Path], str]:
    """Where links of the image's lead: the directories that have a place, and its name in them, which is no
    link; "": it is these themselves."""
    wanted, way, links = target.split("/")[::-1], [layers], 0
    for _ in range(_STEPS_MAX):
        if not wanted:
            return way[-1], ""
        name = wanted.pop()
        if name in ("", "."):
            continue
        if name == "..":
            way = way[:-1] or [layers]
        elif link := _link(way[-1], name):
            links += 1
            if links > _LINKS_MAX:
                break
            way = [layers] if link.startswith("/") else way
            wanted += link.split("/")[::-1]
        elif wanted:
            way.append(_merged(way[-1], name))
        else:
            return way[-1], name
    return (), ""


def _link(directories: Sequence[Path], name: str) -> str | None:
    """Where the link of a name leads; None where it is none."""
    for directory in directories:
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
