"""Removing directories that somebody hostile filled: however deep they are, and never through a link."""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from kwhost.core.images.on_disk import new_name

__all__ = ["empty_directory", "remove_tree"]


def remove_tree(directory: Path) -> None:
    """Remove a directory, or whatever has the name, if anything has. Raises OSError."""
    with suppress(OSError, RecursionError):
        shutil.rmtree(directory)
    _remove_step_by_step(directory)


def empty_directory(directory: Path) -> None:
    """Remove what is in a directory, which stays; no deeper than a program can go. Raises OSError."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name in os.listdir(opened):
            try:
                os.unlink(name, dir_fd=opened)
            except IsADirectoryError:
                shutil.rmtree(name, dir_fd=opened)
    finally:
        os.close(opened)


def _remove_step_by_step(directory: Path) -> None:
    """Bring directories up to beside it before they are emptied, so that no path becomes long."""
    waiting = [directory]
    while waiting:
        path = waiting.pop()
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            path.unlink()
            continue
        waiting += _empty(path, directory.parent)
        path.rmdir()


def _empty(path: Path, beside: Path) -> list[Path]:
    """Empty one directory; its own directories are moved, and returned."""
    moved = []
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with suppress(PermissionError):  # root needs no permission
            os.fchmod(opened, 0o700)
        for name in os.listdir(opened):
            try:
                os.unlink(name, dir_fd=opened)
            except IsADirectoryError:
                place = beside / f".removed-{new_name()}"
                os.chmod(name, 0o700, dir_fd=opened)
                os.rename(name, place, src_dir_fd=opened)
                moved.append(place)
    finally:
        os.close(opened)
    return moved
