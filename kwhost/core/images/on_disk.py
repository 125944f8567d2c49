"""Locks that the kernel ends with the process, and having on the disk what was written."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["locked", "locked_directory", "new_name", "sync", "sync_file_system_of"]


def new_name() -> str:
    """One that nobody else takes. The module secrets, for the same, loads much more."""
    return os.urandom(8).hex()


@contextmanager
def locked(file: Path, operation: int) -> Iterator[None]:
    """Hold a lock on a file, which is made where it is not there; `operation` is that of flock(2). Raises
    BlockingIOError, FileNotFoundError."""
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, operation)
        yield
    finally:
        os.close(fd)


@contextmanager
def locked_directory(directory: Path) -> Iterator[None]:
    """Hold a lock on a directory. Raises FileNotFoundError, BlockingIOError where somebody else holds it."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def sync(*paths: Path) -> None:
    """Have files, and the names in directories, on the disk."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def sync_file_system_of(directory: Path) -> None:
    """Have all on the disk that is in the file system of a directory."""
    from kwhost.core.abi.unpack_jail import sync_file_system  # brings cffi

    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_file_system(fd)
    finally:
        os.close(fd)
