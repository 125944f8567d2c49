"""HTTP for one purpose: each connection has one request and a few seconds."""

import errno
import grp
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h11
import trio
from kwhost.core.errors import HostError

from kwhost_prometheus.configuration import Address
from kwhost_prometheus.requests import Guard, Refusal

__all__ = [
    "CONNECTIONS_MAX",
    "HEADER_MAX",
    "REQUEST_SECONDS",
    "MetricsServer",
    "listen_tcp",
    "listening_unix",
]

HEADER_MAX = 8 * 1024
REQUEST_SECONDS = 10.0
CONNECTIONS_MAX = 16

_BACKLOG = 16
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def listen_tcp(address: Address) -> trio.SocketListener:
    """A listener on a loopback address. Raises HostError."""
    family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.ip, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise HostError(f"cannot listen on {address}: {error.strerror}") from error
    return trio.SocketListener(trio.socket.from_stdlib_socket(listener))


def _bind(listener: socket.socket, path: Path, group: str) -> None:
    """Put the socket at the path with its final rights, in the place of a dead daemon's."""
    if path.exists() and not path.is_socket():
        raise FileExistsError(errno.EEXIST, "something else than a socket is there")
    gid = grp.getgrnam(group).gr_gid if group else -1
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    os.fchmod(listener.fileno(), 0o600)  # the file's mode is never wider than this
    listener.bind(str(new))
    try:
        os.chown(new, -1, gid)
        new.chmod(0o660)
        listener.listen(_BACKLOG)
        new.rename(path)
    except BaseException:
        new.unlink()
        raise


@contextmanager
def listening_unix(path: Path, group: str) -> Iterator[trio.SocketListener]:
    """A listener on a Unix socket of mode 0660, which is removed in the end. Raises HostError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _bind(listener, path, group)
        except KeyError as error:
            raise HostError(f"cannot listen on {path}: there is no group {group}") from error
        except OSError as error:
            raise HostError(f"cannot listen on {path}: {error.strerror or error}") from error
        own = path.lstat().st_ino
        try:
            yield trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        finally:
            if path.exists() and path.lstat().st_ino == own:
                path.unlink()


class MetricsServer:
    """Answers with what `render` returns, one rendering at a time."""

    def __init__(self, guard: Guard, render: Callable[[], Awaitable[bytes]]) -> None:
        self._guard = guard
        self._render = render
        self._rendering = trio.Lock()
        self._connections = 0

    async def handle(self, stream: trio.SocketStream) -> None:
        """One connection, from its begin to its end; beyond CONNECTIONS_MAX it ends at once."""
        if self._connections >= CONNECTIONS_MAX:
            await trio.aclose_forcefully(stream)
            return
        self._connections += 1
        try:
            with trio.move_on_after(REQUEST_SECONDS):
                await self._converse(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client went away
        finally:
            self._connections -= 1
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_MAX)
        try:
            request = await _receive(connection, stream)
        except h11.RemoteProtocolError as error:
            await _refuse(connection, stream, Refusal(error.error_status_hint, "this is no proper request"))
            return
        if request is None:
            return
        if refusal := self._guard.judge(request.method, request.target, list(request.headers)):
            await _refuse(connection, stream, refusal)
            return
        async with self._rendering:
            body = await self._render()
        await _send(connection, stream, 200, body, (("Content-Type", _CONTENT_TYPE),))


async def _receive(connection: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
    """The request's line and headers; None where the client hangs up. A body is never read."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        connection.receive_data(await stream.receive_some(HEADER_MAX))


async def _refuse(connection: h11.Connection, stream: trio.SocketStream, refusal: Refusal) -> None:
    headers = (("Content-Type", "text/plain; charset=utf-8"), *refusal.headers)
    await _send(connection, stream, refusal.status, f"{refusal.text}\n".encode(), headers)


async def _send(
    connection: h11.Connection,
    stream: trio.SocketStream,
    status: int,
    body: bytes,
    headers: tuple[tuple[str, str], ...],
) -> None:
    always = (("Content-Length", str(len(body))), ("Connection", "close"), ("Cache-Control", "no-store"))
    head = connection.send(h11.Response(status_code=status, headers=[*headers, *always]))
    data = connection.send(h11.Data(data=body))
    connection.send(h11.EndOfMessage())
    assert head is not None
    assert data is not None
    await stream.send_all(head + data)
    await stream.send_eof()
