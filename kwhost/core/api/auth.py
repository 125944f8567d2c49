"""Who calls, by the kernel's word, and what they may do. The decisions are pure; one function looks.

Root, the daemon's own user and the members of the group `kwhost` are operators. Users that a tenant names
see and control this tenant alone. All others are nobody here.
"""

import errno
import grp
import os
import pwd
import select
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from kwhost.core.api.routes import Access
from kwhost.core.errors import PermissionDenied
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import TenantName
from kwhost.core.model.tenant import Tenant

__all__ = [
    "GROUP",
    "Caller",
    "check_access",
    "check_binds",
    "identify",
    "peer_credentials",
    "visible_tenants",
]

GROUP = "kwhost"

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_PEERGROUPS = 59  # SO_PEERGROUPS and SO_PEERPIDFD, which the socket module does not name
_PEERPIDFD = 77
_GROUPS_BYTES = 1024  # the most that socket.getsockopt takes: 256 groups


class Caller(NamedTuple):
    """The process that connected, as it was then.

    `user` is the id where there is no such user. `privileged`: by its ids it is an operator; `local`: these
    ids mean what they mean to the daemon.
    """

    pid: int
    uid: int
    user: str
    privileged: bool
    local: bool = True

    @property
    def operator(self) -> bool:
        """Whether it may do everything."""
        return self.privileged and self.local


class Peer(Protocol):
    """A connected socket, whether Python's own or trio's."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """As that of the standard library."""


def visible_tenants(caller: Caller, tenants: Mapping[TenantName, Tenant]) -> frozenset[TenantName] | None:
    """The tenants that a caller knows of; None: all, as an operator."""
    if caller.operator:
        return None
    if not caller.local:
        return frozenset()
    return frozenset(name for name, tenant in tenants.items() if caller.user in tenant.users)


def check_access(access: Access, caller: Caller, visible: frozenset[TenantName] | None) -> None:
    """Raise PermissionDenied where a caller may not use a route at all."""
    if access is Access.ANYBODY or visible is None:
        return
    if not visible:
        raise PermissionDenied(
            f"user {caller.user} is not known here: operators are root and the members of the group {GROUP}, "
            "and a tenant's users are those that the configuration names"
        )
    if access is Access.OPERATOR:
        raise PermissionDenied(f"only operators may do that: root, and the members of the group {GROUP}")


def _inside(path: str, places: Sequence[str]) -> bool:
    real = os.path.realpath(path)
    bases = [os.path.realpath(place) for place in places]
    return any(real == base or real.startswith(base.rstrip("/") + "/") for base in bases)


def check_binds(definition: InstanceDefinition, binds: Sequence[str]) -> None:
    """Raise PermissionDenied where something of the host would come into the instance, with links followed,
    that lies outside of `binds`. A caller learns nothing of what lies there."""
    sources = [volume.source for volume in definition.volumes if not volume.is_named]
    if definition.rootfs is not None:
        sources.append(definition.rootfs)
    for source in sources:
        if not source.startswith("/") or not _inside(source, binds):
            allowed = ", ".join(binds) or "none"
            raise PermissionDenied(
                f"tenant {definition.tenant} may not bind {source}: its binds are {allowed}"
            )


def peer_credentials(peer: Peer) -> tuple[int, int, int]:
    """Process, user and group id of the other end as it was when it connected."""
    pid, uid, gid = _CREDENTIALS.unpack(
        peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return pid, uid, gid


def _peer_groups(peer: Peer, user: str, gid: int) -> set[int]:
    try:
        data = peer.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, _GROUPS_BYTES)
    except OSError:  # in more groups than fit: then those that the user database names
        return {gid, *os.getgrouplist(user, gid)}
    return {gid, *struct.unpack(f"{len(data) // 4}I", data)}


def _namespace(pid: int | str) -> tuple[int, int]:
    found = os.stat(f"/proc/{pid}/ns/user")
    return found.st_dev, found.st_ino


def _is_running(pidfd: int) -> bool:
    poll = select.poll()  # select.select refuses descriptors from 1024 upwards, of which a daemon has many
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)


def _is_local(peer: Peer, pid: int) -> bool:
    """Whether the caller lives in the daemon's own user namespace, and not within an instance or container.

    An ordinary user's own instances have the user's id for their root: whoever binds the socket's directory
    into one must not make its programs operators.
    """
    try:
        pidfd = struct.unpack("i", peer.getsockopt(socket.SOL_SOCKET, _PEERPIDFD, 4))[0]
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:  # else the kernel is older than 6.5 and has only the number
            return False
        pidfd = -1
    try:
        local = _namespace(pid) == _namespace("self")
        # While it runs its number is its own: what was looked at was no other process.
        return local and (pidfd < 0 or _is_running(pidfd))
    except OSError:
        return False
    finally:
        if pidfd >= 0:
            os.close(pidfd)


def _member(peer: Peer, user: str, gid: int) -> bool:
    try:
        group = grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return False
    return group in _peer_groups(peer, user, gid)


def identify(peer: Peer) -> Caller:
    """Who is at the other end. Looks into the databases of users and groups, so it may take a while."""
    pid, uid, gid = peer_credentials(peer)
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    return Caller(
        pid=pid,
        uid=uid,
        user=user,
        privileged=uid in (0, os.geteuid()) or _member(peer, user, gid),
        local=_is_local(peer, pid),
    )
