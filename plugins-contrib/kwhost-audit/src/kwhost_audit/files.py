"""The log's file, and those that were rotated away: FILE.1 is the youngest of them."""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from kwhost_audit.chain import BEGIN, LINE_BEGIN, LINE_MAX, Head, digest, read_link

__all__ = ["OpenFile", "head_of", "open_log", "read_only", "rotate", "rotated", "sync_directory"]

_NEVER_FOLLOWED = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


def rotated(path: Path, number: int) -> Path:
    """The path of the number-th rotated file."""
    return path.with_name(f"{path.name}.{number}")


def rotate(path: Path, keep: int) -> None:
    """Move each file one on, and remove the oldest. Raises OSError."""
    if not keep:
        path.unlink(missing_ok=True)
        return
    for number in range(keep - 1, 0, -1):
        _move(rotated(path, number), rotated(path, number + 1))
    _move(path, rotated(path, 1))


def _move(source: Path, target: Path) -> None:
    with suppress(FileNotFoundError):  # fewer files than may be
        source.rename(target)


def sync_directory(path: Path) -> None:
    """Bring the names of the files to the disk. Raises OSError."""
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class OpenFile:
    """The log's file, open for appending, locked against other writers. All methods raise OSError."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size

    def is_at(self, path: Path) -> bool:
        """Whether the path still leads to this file."""
        try:
            there = path.lstat()
        except FileNotFoundError:
            return False
        here = os.fstat(self.fd)
        self.size = here.st_size  # who truncates it has made holes in the chain, and no others are to come
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def append(self, line: bytes) -> None:
        """Write the whole line or nothing of it."""
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self.fd, rest) :]
        except OSError:
            os.ftruncate(self.fd, self.size)
            raise
        self.size += len(line)

    def cut_torn_line(self) -> int:
        """Remove what follows the last newline, a line that a crash left unfinished; how many bytes."""
        tail = os.pread(self.fd, LINE_MAX, max(0, self.size - LINE_MAX))
        torn = len(tail) - (tail.rfind(b"\n") + 1)
        if torn:
            self.size -= torn
            os.ftruncate(self.fd, self.size)
        return torn

    def sync(self) -> None:
        """Bring what was written to the disk."""
        os.fdatasync(self.fd)

    def close(self) -> None:
        """Done with it."""
        os.close(self.fd)


def open_log(path: Path) -> OpenFile:
    """Open or make the file, which its owner alone may read. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _NEVER_FOLLOWED, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _check_own_log(fd)
        os.fchmod(fd, 0o600)
        return OpenFile(fd)
    except BlockingIOError:
        os.close(fd)
        raise OSError(errno.EBUSY, "another process writes to it") from None
    except BaseException:
        os.close(fd)
        raise


def _check_own_log(fd: int) -> None:
    """Never spoil what is something else. Raises OSError."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_uid != os.geteuid():
        raise OSError(errno.EINVAL, "it is no ordinary file of the daemon's user with one name")
    if not LINE_BEGIN.startswith(os.pread(fd, len(LINE_BEGIN), 0)):
        raise OSError(errno.EINVAL, "it holds something else than this log")


def read_only(path: Path) -> int:
    """A descriptor of a file of the log. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | _NEVER_FOLLOWED)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no ordinary file")
    return fd


def head_of(path: Path) -> Head | None:
    """The last whole line of a file; None where there is none. Raises OSError.

    A last line that is no line of the log counts as number 0: the chain that is begun after it shows in a
    verification.
    """
    try:
        fd = read_only(path)
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(fd).st_size
        tail = os.pread(fd, 2 * LINE_MAX, max(0, size - 2 * LINE_MAX))
    finally:
        os.close(fd)
    whole, newline, _ = tail.rpartition(b"\n")
    if not newline:
        return None
    line = whole.rpartition(b"\n")[2]
    link = read_link(line)
    return Head(link.seq if link else BEGIN.seq, digest(line))
