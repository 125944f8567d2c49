"""The resolver as a process: it is found again by its socket, whoever started it."""

import errno
import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import trio

from kwhost.core.errors import NetworkError
from kwhost.core.model.network import Address
from kwhost.net.namespaces import run_inside
from kwhost.net.passing import send_message
from kwhost.net.wishes import Namespace

__all__ = ["PORT", "bind_at", "end_process", "find_process", "start_process"]

PORT: Final = 53
_IP_FREEBIND, _IPV6_FREEBIND = 15, 78
_BACKLOG = 64
_RECEIVE_BUFFER = 1 << 18
_END_SECONDS = 5.0
_CONTROL = 3  # the descriptor that it inherits besides the standard ones


async def find_process(path: Path) -> trio.socket.SocketType | None:
    """A connection to the process that answers at `path`; None: there is none."""
    link = trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        await link.connect(str(path))
    except OSError as error:
        link.close()
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
            return None
        raise
    return link


def start_process(path: Path, log: Path, namespace: Namespace | None, uid: int) -> int:
    """Start one that answers at `path`; its pid. It has no other tie to this process. Raises OSError."""
    with ExitStack() as closing:
        listening = closing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen()
        complaints = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        closing.callback(os.close, complaints)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, complaints, 1),
            (os.POSIX_SPAWN_DUP2, complaints, 2),
            (os.POSIX_SPAWN_DUP2, listening.fileno(), _CONTROL),
        ]
        command = [sys.executable, "-I", "-m", "kwhost.net.resolver", str(uid)]
        return run_inside(
            namespace,
            lambda: os.posix_spawn(sys.executable, command, {}, file_actions=actions, setsid=True),
        )


async def end_process(link: trio.socket.SocketType) -> None:
    """Tell it to end, and wait until it did. Every protocol has this message. Raises NetworkError."""
    with trio.move_on_after(_END_SECONDS):
        try:
            await send_message(link, {"do": "stop"})
            while await link.recv(1):
                pass
        except OSError:
            pass
        return
    raise NetworkError("the resolver of another version does not end: end the process kwhost.net.resolver")


def bind_at(addresses: tuple[Address, Address]) -> list[socket.socket]:
    """Sockets for UDP and TCP at a network's gateways, which need not be there yet. Raises NetworkError."""
    with ExitStack() as undo:
        sockets = []
        for address in addresses:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                family = socket.AF_INET if address.version == 4 else socket.AF_INET6
                one = undo.enter_context(socket.socket(family, kind))
                sockets.append(one)
                _bind(one, address)
        undo.pop_all()
        return sockets


def _bind(one: socket.socket, address: Address) -> None:
    if address.version == 4:
        one.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    else:
        one.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    try:
        if one.type == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((str(address), PORT))
            one.listen(_BACKLOG)
        else:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            one.bind((str(address), PORT))
    except OSError as error:
        text = f"instances cannot ask for names at {address}, port {PORT}: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            text += " (does another resolver of this host listen at every address?)"
        raise NetworkError(text) from error
