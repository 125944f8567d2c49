"""Volumes that are directories with a project quota: bounded by the file system that the volumes are on.

Nothing has to be mounted or made beforehand. A volume's space is promised, not taken: `free_room` leaves it
to the volume. Each has a project of its own, from a range that nobody else's programs are known to use.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kwhost.core.images.free_room import PROJECT_FIRST, PROJECT_LAST, free_names, free_room

if TYPE_CHECKING:
    from kwhost.core.abi.project_quota import ProjectQuota

__all__ = ["PROJECT_LEAST", "ProjectBacking", "holds_bounds"]

PROJECT_LEAST = 1 << 20
_FILES = "data"
# As an ext4 of the size would have.
_BYTES_PER_FILE = 16384
_TRIED = 64 << 10
_ATTEMPTS = 100
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CANNOT = (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTTY)


class ProjectBacking:
    """See VolumeBacking."""

    def make(self, place: Path, size: int | None) -> None:
        """See VolumeBacking."""
        from kwhost.core.abi.project_quota import bound_project, put_into_project

        assert size is not None
        (place / _FILES).mkdir(mode=0o755)
        with _opened(place / _FILES) as files:
            project = _free_project(files)
            put_into_project(files, project)
            bound_project(files, project, size, size // _BYTES_PER_FILE)
        names = free_names(place)
        # The promise counts already: two that are made at once do not both take the last room.
        if free_room(place) < 0 or (names is not None and names < 0):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def show(self, place: Path, mount_point: Path) -> Path:  # noqa: ARG002 - nothing has to be mounted
        """See VolumeBacking."""
        from kwhost.core.abi.project_quota import holds_quotas

        with _opened(place / _FILES) as files:
            if not holds_quotas(files) or not _quota(files).size:
                raise OSError(errno.EOPNOTSUPP, f"its bound is not held any more: {_ADVICE}")
        return place / _FILES

    def hide(self, mount_point: Path) -> None:
        """See VolumeBacking."""

    def count_used(self, files: Path) -> int:
        """See VolumeBacking."""
        with _opened(files) as opened:
            return _quota(opened).used

    def is_busy(self, place: Path) -> bool:  # noqa: ARG002 - the kernel does not say
        """See VolumeBacking."""
        return False

    def remove(self, place: Path) -> None:
        """See VolumeBacking."""
        from kwhost.core.abi.project_quota import bound_project, project_of

        with suppress(FileNotFoundError), _opened(place / _FILES) as files:
            if project := project_of(files):
                bound_project(files, project, 0, 0)


_ADVICE = "the file system of the state directory has to be mounted with prjquota"


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _quota(files: int) -> "ProjectQuota":
    from kwhost.core.abi.project_quota import project_of, quota_of

    return quota_of(files, project_of(files))


def _free_project(fd: int) -> int:
    """One without bounds and files on the file system of an opened file."""
    from kwhost.core.abi.project_quota import holds_quotas, quota_of

    if not holds_quotas(fd):
        raise OSError(errno.EOPNOTSUPP, f"nothing holds it to its size: {_ADVICE}")
    for _ in range(_ATTEMPTS):
        project = PROJECT_FIRST + secrets.randbelow(PROJECT_LAST - PROJECT_FIRST + 1)
        try:
            quota = quota_of(fd, project)
        except FileNotFoundError:  # so xfs says that it knows nothing of it
            return project
        if not any(quota):
            return project
    raise OSError(errno.EBUSY, "no project is free")


def holds_bounds(directory: Path) -> bool:
    """Whether the file system of a directory really ends what goes beyond a project's bound, and this process
    may set one: root of a container may not. Raises OSError."""
    from kwhost.core.abi.project_quota import holds_quotas

    with _opened(directory) as opened:
        try:
            return holds_quotas(opened) and _try_bound(directory, opened)
        except OSError as error:
            if error.errno in _CANNOT:
                return False
            raise


def _try_bound(directory: Path, opened: int) -> bool:
    from kwhost.core.abi.project_quota import bound_project, put_into_project, within_quotas

    project = _free_project(opened)
    tried = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        put_into_project(tried, project)
        bound_project(opened, project, _TRIED, 0)
        with within_quotas():
            return _is_refused(tried, 2 * _TRIED)
    finally:
        os.close(tried)
        bound_project(opened, project, 0, 0)


def _is_refused(file: int, size: int) -> bool:
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        return True
    return False
