"""Opening files in a tree that somebody hostile may be changing at the same time (openat2(2)).

The kernel itself keeps each step of a path inside; no check of ours can be raced. A magic link, as those of
/proc, is never followed.
"""

import errno
import os

from kwhost.core.abi._abi import lib

__all__ = ["open_beneath", "open_in_root", "open_without_links"]

# From <linux/openat2.h>.
_NO_MAGIC_LINKS = 0x02
_NO_LINKS = 0x04
_BENEATH = 0x08
_IN_ROOT = 0x10
_WORKING_DIRECTORY = -100  # of which an absolute path makes no use; from <linux/fcntl.h>
# EAGAIN: something was renamed while the kernel went through "..".
_ATTEMPTS = 100


def open_in_root(root: int, path: str, flags: int) -> int:
    """Open a path as a process would that has the directory `root` as its root. Raises OSError."""
    return _open(root, path, flags, 0, _IN_ROOT)


def open_beneath(directory: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a relative path; one that leads out of `directory`, by links too, is an OSError with EXDEV."""
    return _open(directory, path, flags, mode, _BENEATH)


def open_without_links(path: str, flags: int) -> int:
    """Open an absolute path; a link anywhere in it is an OSError with ELOOP."""
    return _open(_WORKING_DIRECTORY, path, flags, 0, _NO_LINKS)


def _open(directory: int, path: str, flags: int, mode: int, resolve: int) -> int:
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    result = -errno.EAGAIN
    for _ in range(_ATTEMPTS):
        result = lib.kw_openat2(directory, encoded, flags | os.O_CLOEXEC, mode, resolve | _NO_MAGIC_LINKS)
        if result not in (-errno.EAGAIN, -errno.EINTR):
            break
    if result < 0:
        raise OSError(-result, os.strerror(-result), path)
    return int(result)
