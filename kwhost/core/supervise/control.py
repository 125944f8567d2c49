"""A connection to an instance's `supervise`."""

import os
import socket
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import trio

from kwhost.core.abi.messages import MESSAGE_SIZE, Event

__all__ = ["Control", "Report"]

_FDS_MAX = 4
_INT = array("i").itemsize
_ROOM = socket.CMSG_SPACE(_FDS_MAX * _INT)


class Report(NamedTuple):
    """An event with the descriptors that came along; whoever has it closes them."""

    event: Event
    fds: tuple[int, ...] = ()


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> tuple[int, ...]:
    fds = array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % _INT])
    return tuple(fds)


class Control:
    """Messages there, events back, in order."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)  # noqa: FBT003 - the standard library's own interface
        self._socket = trio.socket.from_stdlib_socket(connection)

    async def send(self, message: bytes, fds: Sequence[int] = ()) -> bool:
        """Send a message; False where nobody is there any more. The caller keeps its descriptors."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds).tobytes())] if fds else []
        try:
            await self._socket.sendmsg([message], ancillary)
        except OSError:
            return False
        return True

    async def receive(self) -> Report | None:
        """The next event that this version knows; None once `supervise` has hung up."""
        while True:
            try:
                data, ancillary, _, _ = await self._socket.recvmsg(
                    MESSAGE_SIZE + 1, _ROOM, socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                return None
            fds = _descriptors(ancillary)
            if not data:
                return None
            if event := Event.decode(data):
                return Report(event, fds)
            for fd in fds:
                os.close(fd)

    def close(self) -> None:
        """Let go of it; the instance goes on."""
        self._socket.close()
