"""Descriptors that go along with a message over a Unix socket: SCM_RIGHTS of unix(7)."""

import socket
from array import array
from collections.abc import Iterable, Sequence

__all__ = ["pack_rights", "rights_room", "unpack_rights"]

_INT = array("i").itemsize


def pack_rights(fds: Sequence[int]) -> list[tuple[int, int, bytes]]:
    """What sendmsg takes along: duplicates of these, the caller keeps its own."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds).tobytes())] if fds else []


def rights_room(count: int) -> int:
    """The bytes that recvmsg needs for so many descriptors."""
    return socket.CMSG_SPACE(count * _INT)


def unpack_rights(ancillary: Iterable[tuple[int, int, bytes]]) -> tuple[int, ...]:
    """The descriptors that recvmsg brought; the caller closes them."""
    fds = array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % _INT])
    return tuple(fds)
