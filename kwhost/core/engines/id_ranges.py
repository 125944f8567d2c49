"""Host ids for instances: each has a range of its own while it runs, whoever started it.

Ranges are slots of 65,536 ids from `[host] uid_base` upwards. A slot is taken by an open file
description lock on one byte of a lock file; `supervise` inherits the descriptor, so that the kernel
frees the slot when the last process that is responsible for the instance has ended, in whatever way.
The lock file is the host's and not the run directory's: two run directories must not hand out the
same ids.
"""

import errno
import fcntl
import grp
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

__all__ = [
    "IdLease",
    "lease_again",
    "lease_for_several",
    "lease_ids",
    "own_ids",
    "subordinate_ranges",
    "user_ids",
]

_LOCK_FILE = Path("/run/kwhost/ids.lock")
_SUBORDINATE_FILES = (Path("/etc/subuid"), Path("/etc/subgid"))
_FLOCK = struct.Struct("hhqqi4x")
# So many ids, the highest, are given one by one where there is no room for ranges, but for the kernel's own
# nobody and what means none at all to old programs; their locks lie behind those of the slots.
_SINGLE_IDS = 4096
_NOBODYS = (0, 65_534, 65_535)
_SINGLE_LOCKS = 1 << 32


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


def _mapped(kind: str) -> list[range]:
    """The ids that exist for this process: in a container these may be few."""
    lines = Path(f"/proc/self/{kind}").read_text(encoding="ascii").splitlines()
    fields = (tuple(map(int, line.split())) for line in lines)
    return [range(inside, inside + count) for inside, _, count in fields]


def _mapped_ranges() -> list[range]:
    """Numbers that are both users and groups here."""
    pairs = ((users, groups) for users in _mapped("uid_map") for groups in _mapped("gid_map"))
    both = (range(max(a.start, b.start), min(a.stop, b.stop)) for a, b in pairs)
    return [ids for ids in both if ids]


def _overlaps(start: int, taken: list[range]) -> bool:
    return any(start < other.stop and other.start < start + FULL_RANGE for other in taken)


def _fits(start: int, mapped: list[range]) -> bool:
    return any(ids.start <= start and start + FULL_RANGE <= ids.stop for ids in mapped)


def _lock_slot(fd: int, slot: int, kind: int = fcntl.F_WRLCK) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, slot, 1, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _open_lock_file(path: Path) -> int:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _is_somebodys(number: int) -> bool:
    """Whether this host knows the number as a user or a group."""
    for find in (pwd.getpwuid, grp.getgrgid):
        try:
            find(number)
        except KeyError:
            continue
        return True
    return False


def _lease_one(fd: int, mapped: list[range]) -> IdLease | None:
    """One of the highest ids, where there is no room for ranges."""
    highest = max(mapped, key=lambda ids: ids.stop, default=range(0))
    for number in highest[: -_SINGLE_IDS - 1 : -1]:
        if number not in _NOBODYS and not _is_somebodys(number) and _lock_slot(fd, _SINGLE_LOCKS + number):
            return IdLease(IdRange(uid_base=number, gid_base=number, size=1), fd)
    return None


def _lease_slot(uid_base: int, path: Path, taken: list[range], mapped: list[range]) -> IdLease:
    try:
        fd = _open_lock_file(path)
    except OSError as error:
        raise HostError(f"cannot open {path}, which keeps instances' ids apart: {error.strerror}") from error
    try:
        has_room = any(ids.stop - max(ids.start, uid_base) >= FULL_RANGE for ids in mapped)
        if not has_room and (lease := _lease_one(fd, mapped)):
            return lease
        starts = range(uid_base, UID_LIMIT, FULL_RANGE)
        # From anywhere on: from the lowest on, each would be refused as many slots as there are instances.
        middle = int.from_bytes(os.urandom(4)) % len(starts)
        for start in chain(starts[middle:], starts[:middle]):
            # Slots go by their absolute place, so that configurations with other bases agree on them.
            free = _fits(start, mapped) and not _overlaps(start, taken)
            if free and _lock_slot(fd, start // FULL_RANGE):
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
    """Ids for a new instance: root's get a range of their own, or one id in a container that has too few; a
    user's what belongs to the user."""
    if os.geteuid() == 0:
        return _lease_slot(uid_base, lock_file, subordinate_ranges(subordinate_files), _mapped_ranges())
    return IdLease(own_ids(subordinate_files))


def lease_for_several(uid_base: int, *, lock_file: Path = _LOCK_FILE) -> IdLease:
    """A range that several instances may have at once (`lease_again`), and nobody else. Raises HostError."""
    lease = lease_ids(uid_base, lock_file=lock_file)
    if lease.ids.size < FULL_RANGE or lease.fd < 0:
        lease.close()
        raise HostError(f"there is no range of {FULL_RANGE} ids here that instances could share")
    _lock_slot(lease.fd, lease.ids.uid_base // FULL_RANGE, fcntl.F_RDLCK)
    return lease


def lease_again(first: int, *, lock_file: Path = _LOCK_FILE) -> IdLease:
    """One more lease of a range for several. Raises HostError where an instance has it for itself."""
    fd = _open_lock_file(lock_file)
    if not _lock_slot(fd, first // FULL_RANGE, fcntl.F_RDLCK):
        os.close(fd)
        raise HostError(f"the ids from {first} belong to a tenant's volumes, and another instance has them")
    return IdLease(IdRange(uid_base=first, gid_base=first, size=FULL_RANGE), fd)


def own_ids(subordinate_files: tuple[Path, Path] = _SUBORDINATE_FILES) -> IdRange:
    """What belongs to the ordinary user who runs this process."""
    uid = os.geteuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return user_ids(uid, os.getegid(), user, subordinate_files=subordinate_files)
