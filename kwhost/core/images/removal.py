"""Removing directories that somebody hostile filled: however deep they are, however many names they have, and
never through a link. Names are removed while they are read: none is remembered."""

import os
from contextlib import suppress
from pathlib import Path

from kwhost.core.images.on_disk import new_name

__all__ = ["empty_directory", "remove_tree"]

# Directories in each other that are open at once; what is deeper is brought up.
_DEPTH_MAX = 64
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(directory: Path) -> None:
    """Remove a directory, or whatever has the name, if anything has. Raises OSError."""
    try:
        directory.unlink(missing_ok=True)
    except IsADirectoryError:
        with suppress(PermissionError):  # root needs no permission
            directory.chmod(0o700)
        empty_directory(directory)
        directory.rmdir()


def empty_directory(directory: Path) -> None:
    """Remove what is in a directory, which stays. Raises OSError."""
    opened = os.open(directory, _DIRECTORY)
    try:
        _empty(opened, opened, 0)
    finally:
        os.close(opened)


def _empty(opened: int, top: int, depth: int) -> None:
    found = True
    while found:  # whoever reads may miss names while others go
        found = False
        with os.scandir(opened) as entries:
            for entry in entries:
                found = True
                _remove(entry.name, opened, top, depth)


def _remove(name: str, parent: int, top: int, depth: int) -> None:
    """Remove what has a name, or bring it up to `top`, where it is found again."""
    try:
        os.unlink(name, dir_fd=parent)
    except IsADirectoryError:
        with suppress(PermissionError):
            os.chmod(name, 0o700, dir_fd=parent)
        if depth == _DEPTH_MAX:
            os.rename(name, f".removed-{new_name()}", src_dir_fd=parent, dst_dir_fd=top)
            return
        opened = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            _empty(opened, top, depth + 1)
        finally:
            os.close(opened)
        os.rmdir(name, dir_fd=parent)
