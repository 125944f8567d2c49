"""A connection to an instance's `supervise`."""

import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

import trio

from kwhost.core.abi.messages import MESSAGE_SIZE, Event
from kwhost.core.abi.rights import pack_rights, rights_room, unpack_rights

__all__ = ["Control", "Report"]

_ROOM = rights_room(4)


class Report(NamedTuple):
    """An event with the descriptors that came along; whoever has it closes them."""

    event: Event
    fds: tuple[int, ...] = ()


class Control:
    """Messages there, events back, in order."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)  # noqa: FBT003 - the standard library's own interface
        self._socket = trio.socket.from_stdlib_socket(connection)

    async def send(self, message: bytes, fds: Sequence[int] = ()) -> bool:
        """Send a message; False where nobody is there any more. The caller keeps its descriptors."""
        try:
            await self._socket.sendmsg([message], pack_rights(fds))
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
            fds = unpack_rights(ancillary)
            if not data:
                return None
            if event := Event.decode(data):
                return Report(event, fds)
            for fd in fds:
                os.close(fd)

    def close(self) -> None:
        """Let go of it; the instance goes on."""
        self._socket.close()
