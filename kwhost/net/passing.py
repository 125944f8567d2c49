"""Messages between a daemon and a process of its own, with descriptors; over a SOCK_SEQPACKET socket."""

import json
import os
import socket
from array import array
from collections.abc import Iterable
from typing import Any

import trio

__all__ = ["MESSAGE_MAX", "receive_message", "send_message"]

MESSAGE_MAX = 1 << 16
_DESCRIPTORS_MAX = 8


async def send_message(link: trio.socket.SocketType, message: object, *fds: int) -> None:
    """Pass a message, and duplicates of descriptors. Raises OSError."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds).tobytes())] if fds else []
    await link.sendmsg([json.dumps(message).encode()], rights)


async def receive_message(link: trio.socket.SocketType) -> tuple[Any, list[int]]:
    """The next one, with descriptors that the caller closes; None: the other side is gone.

    Raises OSError, and ValueError for what is no message.
    """
    room = socket.CMSG_SPACE(_DESCRIPTORS_MAX * array("i").itemsize)
    data, ancillary, flags, _ = await link.recvmsg(MESSAGE_MAX, room, socket.MSG_CMSG_CLOEXEC)
    fds = list(_descriptors(ancillary))
    if not data:
        _close(fds)
        return None, []
    whole = not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
    try:
        return json.loads(data if whole else b""), fds
    except ValueError:
        _close(fds)
        raise


def _descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> Iterable[int]:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds = array("i")
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
            yield from fds


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
