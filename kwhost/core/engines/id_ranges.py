"""Host ids for instances: each has a range of its own while it runs, whoever started it.

Ranges are slots of 65,536 ids from `[host] uid_base` upwards. A slot is taken by an open file
description lock on one byte of a lock file; `supervise` inherits the descriptor, so that the kernel
frees the slot when the last process that is responsible for the instance has ended, in whatever way.
The lock file is the host's and not the run directory's: two run directories must not hand out the
same ids.
"""

import errno
import fcntl
import os
import pwd
import shutil
import struct
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from kwhost.core.config.host import UID_LIMIT
from kwhost.core.errors import HostError
from kwhost.core.model.ids import FULL_RANGE, IdRange

__all__ = ["IdLease", "lease_ids", "own_ids", "subordinate_ranges", "user_ids"]

_LOCK_FILE = Path("/run/kwhost/ids.lock")
_SUBORDINATE_FILES = (Path("/etc/subuid"), Path("/etc/subgid"))
_FLOCK = struct.Struct("hhqqi4x")


class IdLease(NamedTuple):
    """A range of ids, held as long as the descriptor is open somewhere; -1: held by nothing."""

    ids: IdRange
    fd: int = -1

    def close(self) -> None:
        """Give this process's share of the lease up."""
        if self.fd >= 0:
            os.close(self.fd)


def _read_ranges(path: Path) -> list[tuple[str, range]]:
    """The lines of /etc/subuid or /etc/subgid that make sense."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split(":")
        if len(fields) == 3 and all(field.isascii() and field.isdecimal() for field in fields[1:]):
            found.append((fields[0], range(int(fields[1]), int(fields[1]) + int(fields[2]))))
    return found


def subordinate_ranges(files: tuple[Path, Path] = _SUBORDINATE_FILES) -> list[range]:
    """Ids that the host's administrator gave to users."""
    return [ids for file in files for _, ids in _read_ranges(file)]


def _overlaps(start: int, taken: list[range]) -> bool:
    return any(start < other.stop and other.start < start + FULL_RANGE for other in taken)


def _lock_slot(fd: int, slot: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, slot, 1, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _open_lock_file(path: Path) -> int:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _lease_slot(uid_base: int, path: Path, taken: list[range]) -> IdLease:
    try:
        fd = _open_lock_file(path)
    except OSError as error:
        raise HostError(f"cannot open {path}, which keeps instances' ids apart: {error.strerror}") from error
    try:
        starts = range(uid_base, UID_LIMIT, FULL_RANGE)
        # From anywhere on: from the lowest on, each would be refused as many slots as there are instances.
        middle = int.from_bytes(os.urandom(4)) % len(starts)
        for start in chain(starts[middle:], starts[:middle]):
            # Slots go by their absolute place, so that configurations with other bases agree on them.
            if not _overlaps(start, taken) and _lock_slot(fd, start // FULL_RANGE):
                return IdLease(IdRange(uid_base=start, gid_base=start, size=FULL_RANGE), fd)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    raise HostError(
        f"no range of {FULL_RANGE} ids is free from host.uid_base = {uid_base}: /etc/subuid, /etc/subgid and "
        "running instances hold all; choose a lower base"
    )


def _own_range(path: Path, names: tuple[str, ...]) -> range:
    """The largest range that a subordinate id file gives to a user."""
    own = (ids for owner, ids in _read_ranges(path) if owner in names)
    return max(own, key=len, default=range(0))


def user_ids(
    uid: int, gid: int, user: str, *, subordinate_files: tuple[Path, Path] = _SUBORDINATE_FILES
) -> IdRange:
    """A user's instances: id 0 is the user's own; subordinate ids follow where the user has any."""
    names = (user, str(uid))
    uids, gids = (_own_range(file, names) for file in subordinate_files)
    more = min(len(uids), len(gids), FULL_RANGE - 1)
    if more == 0 or not (shutil.which("newuidmap") and shutil.which("newgidmap")):
        return IdRange(uid_base=uid, gid_base=gid, size=1)
    return IdRange(uid_base=uids.start, gid_base=gids.start, size=more + 1)


def lease_ids(
    uid_base: int, *, lock_file: Path = _LOCK_FILE, subordinate_files: tuple[Path, Path] = _SUBORDINATE_FILES
) -> IdLease:
    """Ids for a new instance: root's get a range of their own, a user's what belongs to the user."""
    if os.geteuid() == 0:
        return _lease_slot(uid_base, lock_file, subordinate_ranges(subordinate_files))
    return IdLease(own_ids(subordinate_files))


def own_ids(subordinate_files: tuple[Path, Path] = _SUBORDINATE_FILES) -> IdRange:
    """What belongs to the ordinary user who runs this process."""
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return user_ids(uid, os.getegid(), user, subordinate_files=subordinate_files)
