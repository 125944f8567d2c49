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
import struct
from dataclasses import dataclass
from pathlib import Path

from kwhost.core.config.host import UID_LIMIT
from kwhost.core.errors import HostError
from kwhost.core.model.ids import FULL_RANGE, IdRange

__all__ = ["IdLease", "lease_ids", "subordinate_ranges"]

_LOCK_FILE = Path("/run/kwhost/ids.lock")
_SUBORDINATE_FILES = (Path("/etc/subuid"), Path("/etc/subgid"))
_FLOCK = struct.Struct("hhqqi4x")


@dataclass(frozen=True, slots=True)
class IdLease:
    """A range of ids, held as long as the descriptor is open somewhere; -1: held by nothing."""

    ids: IdRange
    fd: int = -1

    def close(self) -> None:
        """Give this process's share of the lease up."""
        if self.fd >= 0:
            os.close(self.fd)


def subordinate_ranges(files: tuple[Path, ...] = _SUBORDINATE_FILES) -> list[range]:
    """Ids that the host's administrator gave to users."""
    found = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            fields = line.split(":")
            if len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal():
                found.append(range(int(fields[1]), int(fields[1]) + int(fields[2])))
    return found


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
        for start in range(uid_base, UID_LIMIT, FULL_RANGE):
            # Slots go by their absolute place, so that configurations with other bases agree on them.
            if not _overlaps(start, taken) and _lock_slot(fd, start // FULL_RANGE):
                return IdLease(IdRange(uid_base=start, gid_base=start, count=FULL_RANGE), fd)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    raise HostError(
        f"no range of {FULL_RANGE} ids is free from host.uid_base = {uid_base}: /etc/subuid, /etc/subgid and "
        "running instances hold all; choose a lower base"
    )


def lease_ids(
    uid_base: int,
    *,
    lock_file: Path = _LOCK_FILE,
    subordinate_files: tuple[Path, ...] = _SUBORDINATE_FILES,
) -> IdLease:
    """A range for a new instance: root's instances get one of their own, a user's their user's id."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0:
        return IdLease(IdRange(uid_base=uid, gid_base=gid, count=1))
    return _lease_slot(uid_base, lock_file, subordinate_ranges(subordinate_files))
