"""Mounting file systems on disks, for whoever may. Every function raises OSError."""

import errno
import os

from kwhost.core.abi._abi import lib

__all__ = ["maps_owners", "mount_disk", "mount_new", "unmount"]


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result))


def mount_disk(device: str, place: str) -> None:
    """Mount the ext4 of a device, without devices and set-user-ID bits; an error in it ends all writing."""
    _check(lib.kw_mount_disk(os.fsencode(device), os.fsencode(place)))


def mount_new(kind: str, place: str, options: str) -> None:
    """Mount a file system of a kind that needs no device, without devices and set-user-ID bits."""
    _check(lib.kw_mount(kind.encode(), os.fsencode(place), os.fsencode(options)))


def maps_owners(directory: int) -> bool:
    """Whether the file system of an opened directory can show files with other owners (id-mapped mounts)."""
    result = lib.kw_map_owners(directory)
    if result == -errno.EINVAL:
        return False
    _check(result)
    return True


def unmount(place: str) -> None:
    """Take what is mounted there away; who uses it goes on, and the last one takes the device with it."""
    _check(lib.kw_unmount(os.fsencode(place)))
