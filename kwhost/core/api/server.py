"""The listening socket, and its connections: who may have how many, and the requests on each."""

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import trio

from kwhost.core.api.auth import Caller, Peer, identify
from kwhost.core.api.dispatch import Dispatcher
from kwhost.core.api.failures import Failure, Refusal, describe, error_body
from kwhost.core.api.http import Deadlines, HttpConnection
from kwhost.core.errors import HostError

__all__ = ["ApiServer", "Bounds", "listen_api"]

_BACKLOG = 256
# Who may do what is decided by the caller's credentials, not by the file's mode.
_SOCKET_MODE = 0o666
_PATH_MAX = 107
_FULL = Failure("busy", 503)
_TOO_MANY = Failure("too-many-connections", 429)


class Bounds(NamedTuple):
    """How many connections: in all, of one user, and how many of all only operators can have."""

    connections: int = 256
    per_user: int = 32
    reserved: int = 32


_BOUNDS = Bounds()
_DEADLINES = Deadlines()


def listen_api(path: Path) -> socket.socket:
    """Listen at `path`, in place of a socket that an earlier daemon left there. Its directory must exist, and
    tenants' users be able to pass it.

    The caller holds the lock of the state directory, so no other daemon listens there now.
    """
    if len(os.fsencode(path)) > _PATH_MAX:
        raise HostError(f"the path of the API socket is too long: {path} (at most {_PATH_MAX} bytes)")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if path.is_socket():
            path.unlink()
        listener.bind(str(path))
        path.chmod(_SOCKET_MODE)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise HostError(f"cannot listen on {path}: {error.strerror}") from error
    return listener


class ApiServer:
    """Serves connections; none of them can end it."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        bounds: Bounds = _BOUNDS,
        deadlines: Deadlines = _DEADLINES,
        identify: Callable[[Peer], Caller] = identify,
    ) -> None:
        self._dispatcher = dispatcher
        self._identify = identify
        self._bounds = bounds
        self._deadlines = deadlines
        self._open = 0
        self._served = 0
        self._users: Counter[int] = Counter()

    @property
    def connections(self) -> int:
        """How many there are, those that are being refused included."""
        return self._open

    async def serve(self, listener: socket.socket) -> None:
        """Serve until cancelled; closes the listener."""
        trio_listener = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        await trio.serve_listeners(self._serve_connection, [trio_listener])

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        connection = HttpConnection(stream, self._deadlines)
        self._open += 1
        try:
            # Beyond twice the bound there is not even time to say why.
            if self._open <= 2 * self._bounds.connections:
                await self._admit(connection)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone, and whatever it waited for with it
        except Exception as error:  # noqa: BLE001 - the edge: a connection never ends the server
            self._dispatcher.report(error)
        finally:
            self._open -= 1
            await trio.aclose_forcefully(stream)

    async def _admit(self, connection: HttpConnection) -> None:
        try:
            with self._seat():
                caller = await trio.to_thread.run_sync(self._identify, connection.stream.socket)
                with self._seat_of(caller):
                    await self._serve_requests(connection, caller)
        except Refusal as refusal:
            await connection.answer(describe(refusal).status, error_body(refusal), {"connection": "close"})
        await connection.linger()

    @contextmanager
    def _seat(self) -> Iterator[None]:
        """One of all connections. Raises Refusal where there is none left."""
        if self._served >= self._bounds.connections:
            raise Refusal(_FULL, f"the daemon has {self._served} connections, which is the most; try again")
        self._served += 1
        try:
            yield
        finally:
            self._served -= 1

    @contextmanager
    def _seat_of(self, caller: Caller) -> Iterator[None]:
        """One of a user's connections. Operators have all; the others leave some for them."""
        if caller.operator:
            yield
            return
        if self._users[caller.uid] >= self._bounds.per_user:
            text = (
                f"user {caller.user} has {self._bounds.per_user} connections, which is the most; close some"
            )
            raise Refusal(_TOO_MANY, text)
        if self._served > self._bounds.connections - self._bounds.reserved:
            raise Refusal(_FULL, "the daemon's last connections are kept for operators; try again")
        self._users[caller.uid] += 1
        try:
            yield
        finally:
            self._users[caller.uid] -= 1
            self._users += Counter()  # forgets those who have none

    async def _serve_requests(self, connection: HttpConnection, caller: Caller) -> None:
        while request := await connection.next_request():
            await self._dispatcher.serve(connection, caller, request)
            if not connection.reuse():
                return
