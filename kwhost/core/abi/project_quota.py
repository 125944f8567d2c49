"""Project quotas: bounds for what directories hold, kept by ext4 and xfs that are mounted with prjquota.

A project is a number that files have, and that they get from their directory. Only a process of the host's
own user namespace can change it. Source: quotactl(2), <linux/quota.h>, <linux/dqblk_xfs.h>, <linux/fs.h>.
Every function raises OSError, but for those that say otherwise.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from kwhost.core.abi._abi import ffi, lib

__all__ = [
    "ProjectQuota",
    "bound_project",
    "holds_quotas",
    "project_of",
    "put_into_project",
    "quota_of",
    "quotas_between",
    "within_quotas",
]

_FS_IOC_FSGETXATTR, _FS_IOC_FSSETXATTR = 0x801C581F, 0x401C5820
# struct fsxattr: fsx_xflags, fsx_extsize, fsx_nextents, fsx_projid, fsx_cowextsize.
_FSXATTR = struct.Struct("=5I 8x")
_PROJECT_INHERITED = 0x200
_GET, _SET, _GET_NEXT, _GET_STATE = 0x800007, 0x800008, 0x800009, 0x5808
# struct if_dqblk and if_nextdqblk: limits in _BLOCK bytes, use in bytes; then the same of files.
_QUOTA = struct.Struct("=8Q 2I")
_BLOCK = 1024
_LIMITS = 1 | 4  # QIF_BLIMITS | QIF_ILIMITS
# struct fs_quota_statv: qs_version, qs_flags; projects are counted, and bounds are held.
_STATE = struct.Struct("=BxH 252x")
_HELD = 1 << 4 | 1 << 5


class ProjectQuota(NamedTuple):
    """What the files of a project may take, and take: bytes, and how many there are. A bound of 0 is none."""

    size: int
    used: int
    files: int
    files_used: int


def holds_quotas(fd: int) -> bool:
    """Whether the file system of an opened file says that it holds projects to their bounds. Raises
    nothing."""
    state = bytearray(_STATE.pack(1, 0))
    try:
        _control(fd, _GET_STATE, 0, state)
    except OSError:
        return False
    return bool(_STATE.unpack(state)[1] & _HELD == _HELD)


def project_of(fd: int) -> int:
    """The project of an opened file; 0 is none."""
    return int(_FSXATTR.unpack(fcntl.ioctl(fd, _FS_IOC_FSGETXATTR, bytes(_FSXATTR.size)))[3])


def put_into_project(fd: int, project: int) -> None:
    """Give an opened file, or an empty directory and all that will be made in it, a project."""
    inherited = _PROJECT_INHERITED if os.path.isdir(f"/proc/self/fd/{fd}") else 0
    flags, *between, _, last = _FSXATTR.unpack(fcntl.ioctl(fd, _FS_IOC_FSGETXATTR, bytes(_FSXATTR.size)))
    fcntl.ioctl(fd, _FS_IOC_FSSETXATTR, _FSXATTR.pack(flags | inherited, *between, project, last))


def bound_project(fd: int, project: int, size: int, files: int) -> None:
    """Bound a project on the file system of an opened file; 0 for no bound."""
    _control(fd, _SET, project, bytearray(_QUOTA.pack(size // _BLOCK, 0, 0, files, 0, 0, 0, 0, _LIMITS, 0)))


def quota_of(fd: int, project: int) -> ProjectQuota:
    """A project's bounds and use on the file system of an opened file."""
    found = bytearray(_QUOTA.size)
    _control(fd, _GET, project, found)
    return _read(found)[1]


def quotas_between(fd: int, first: int, last: int) -> Iterator[tuple[int, ProjectQuota]]:
    """The projects of a range that have bounds or files, as far as the file system of an opened file keeps
    any."""
    project = first
    while project <= last:
        found = bytearray(_QUOTA.size)
        try:
            _control(fd, _GET_NEXT, project, found)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ESRCH, errno.ENOSYS, errno.EINVAL, errno.EPERM):
                return
            raise
        project, quota = _read(found)
        if project > last:
            return
        yield project, quota
        project += 1


def _read(found: bytearray) -> tuple[int, ProjectQuota]:
    size, _, used, files, _, files_used, _, _, _, project = _QUOTA.unpack(found)
    return project, ProjectQuota(size * _BLOCK, used, files, files_used)


def _control(fd: int, command: int, project: int, data: bytearray) -> None:
    result = lib.kw_project_quota(fd, command, project, ffi.from_buffer(data))
    if result < 0:
        raise OSError(-result, os.strerror(-result))


@contextmanager
def within_quotas() -> Iterator[None]:
    """Meanwhile quotas hold for this thread, too, as for whoever is not root."""
    if _exceed(may=False):
        try:
            yield
        finally:
            _exceed(may=True)
    else:
        yield


def _exceed(*, may: bool) -> bool:
    result = lib.kw_exceed_quotas(may)
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return bool(result)
