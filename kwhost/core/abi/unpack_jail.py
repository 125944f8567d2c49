"""The jail of the process that unpacks images, step by step. What it is for: core.images.unpack_process.

Every function raises OSError.
"""

import os

from kwhost.core.abi._abi import ffi, lib

__all__ = [
    "end_with_parent",
    "enter_mount",
    "filter_unpacking",
    "keep_file_capabilities",
    "mount_of",
    "own_mounts",
    "own_user_namespace",
    "receive",
    "sync_file_system",
]


def _check(result: int) -> int:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return int(result)


def receive(control: int, most: int) -> tuple[bytes, list[int]]:
    """A message of at most so many bytes, and the descriptors, two at most, that came with it; nothing where
    nobody is at the other end. Python's own socket module takes longer to load than all of the jail to make.
    """
    message, fds = ffi.new("char[]", most), ffi.new("int[2]")
    length = _check(lib.kw_receive(control, message, most, fds))
    return bytes(ffi.buffer(message, length)), [fd for fd in fds if fd >= 0]


def own_user_namespace() -> None:
    """Enter a new user namespace, in which this process has no ids yet."""
    _check(lib.kw_own_user_namespace())


def mount_of(directory: int, user_namespace: int = -1) -> int:
    """A detached mount of a directory, without devices, programs and set-user-ID bits. With a user namespace,
    owners on disk are what they are inside of it (EINVAL: the file system cannot)."""
    return _check(lib.kw_mount_of(directory, user_namespace))


def own_mounts() -> None:
    """Enter new namespaces for mounts, with those of now, and for networks, with nothing."""
    _check(lib.kw_own_mounts())


def enter_mount(tree: int) -> None:
    """Have a detached mount as the only directory that this process sees."""
    _check(lib.kw_enter_mount(tree))


def keep_file_capabilities() -> None:
    """Give up, for good, every capability but those for files of any owner."""
    _check(lib.kw_keep_file_capabilities())


def filter_unpacking() -> None:
    """Allow, for good, only the system calls that reading a stream and making files need."""
    _check(lib.kw_filter_unpacking())


def end_with_parent() -> None:
    """Be killed when the thread that started this process ends."""
    _check(lib.kw_end_with_parent())


def sync_file_system(fd: int) -> None:
    """Have the file system of an opened file on the disk."""
    _check(lib.kw_sync_file_system(fd))
