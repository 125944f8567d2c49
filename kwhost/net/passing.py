"""Messages between a daemon and a process of its own, with descriptors; over a SOCK_SEQPACKET socket."""

import json
import os
import socket
from collections.abc import Iterable
from typing import Any

import trio

from kwhost.core.abi.rights import pack_rights, rights_room, unpack_rights

__all__ = ["MESSAGE_MAX", "receive_message", "send_message"]

MESSAGE_MAX = 1 << 16
_ROOM = rights_room(8)


async def send_message(link: trio.socket.SocketType, message: object, *fds: int) -> None:
    """Pass a message, and duplicates of descriptors. Raises OSError."""
    await link.sendmsg([json.dumps(message).encode()], pack_rights(fds))


async def receive_message(link: trio.socket.SocketType) -> tuple[Any, tuple[int, ...]]:
    """The next one, with descriptors that the caller closes; None: the other side is gone.

    Raises OSError, and ValueError for what is no message.
    """
    data, ancillary, flags, _ = await link.recvmsg(MESSAGE_MAX, _ROOM, socket.MSG_CMSG_CLOEXEC)
    fds = unpack_rights(ancillary)
    if not data:
        _close(fds)
        return None, ()
    whole = not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
    try:
        return json.loads(data if whole else b""), fds
    except ValueError:
        _close(fds)
        raise


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
