"""The sockets of one tenant: datagrams and connections. No tenant's questions hold up another's."""

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import trio

from kwhost.net.resolver.limits import CONNECTIONS_MAX, TENANT_CONNECTIONS_MAX, Asker
from kwhost.net.resolver.queries import QUERY_MAX, Query, read_query, write_answer
from kwhost.net.resolver.tenant import Tenant

__all__ = ["serve_tenant"]

# Datagrams of one socket before it is another one's turn.
_BATCH = 16
_IDLE_SECONDS, _SEND_SECONDS, _CONNECTION_SECONDS = 10.0, 5.0, 120.0
_STREAM_ROOM = 65_535
_NO_DESCRIPTOR_SECONDS = 0.1


async def serve_tenant(tenant: Tenant, sockets: Sequence[socket.socket]) -> None:
    """Answer what comes to the sockets, until cancelled; closes them."""
    try:
        async with trio.open_nursery() as nursery:
            for one in sockets:
                one.settimeout(0)
                if one.type == socket.SOCK_DGRAM:
                    nursery.start_soon(_Datagrams(tenant, one, nursery).serve)
                else:
                    nursery.start_soon(_Connections(tenant, one, nursery).serve)
    finally:
        for one in sockets:
            one.close()


class _Datagrams:
    def __init__(self, tenant: Tenant, one: socket.socket, nursery: trio.Nursery) -> None:
        self._tenant = tenant
        self._socket = one
        self._nursery = nursery

    async def serve(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            now = trio.current_time()
            with suppress(OSError):  # nothing left, or an error message about an answer
                for _ in range(_BATCH):
                    wire, peer = self._socket.recvfrom(QUERY_MAX + 1)
                    asker = self._tenant.asker(peer[0])
                    if asker and asker.may_ask(now):
                        self._take(wire, peer, asker)
                    else:
                        self._tenant.counts["dropped"] += 1

    def _take(self, wire: bytes, peer: tuple[object, ...], asker: Asker) -> None:
        query = read_query(wire)
        if isinstance(query, bytes):
            self._send(query, peer)
        elif query:
            answer = self._tenant.answer_at_once(asker, query)
            if answer:
                self._send(write_answer(query, answer, query.room), peer)
            else:
                self._nursery.start_soon(self._answer, query, peer, asker)

    async def _answer(self, query: Query, peer: tuple[object, ...], asker: Asker) -> None:
        self._send(write_answer(query, await self._tenant.answer(asker, query), query.room), peer)

    def _send(self, wire: bytes, peer: tuple[object, ...]) -> None:
        with suppress(OSError):  # a datagram may be lost: it is asked again
            self._socket.sendto(wire, peer)


class _Connections:
    def __init__(self, tenant: Tenant, one: socket.socket, nursery: trio.Nursery) -> None:
        self._tenant = tenant
        self._socket = one
        self._nursery = nursery
        self._open = 0

    async def serve(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                connection, peer = self._socket.accept()
            except BlockingIOError:
                continue
            except OSError:  # no descriptor is left, or it is gone already
                await trio.sleep(_NO_DESCRIPTOR_SECONDS)
                continue
            asker = self._tenant.asker(peer[0])
            full = self._open >= TENANT_CONNECTIONS_MAX
            if asker is None or full or asker.connections >= CONNECTIONS_MAX:
                connection.close()
                continue
            asker.connections += 1
            self._open += 1
            connection.settimeout(0)
            self._nursery.start_soon(self._serve_one, connection, asker)

    async def _serve_one(self, connection: socket.socket, asker: Asker) -> None:
        try:
            with suppress(OSError, trio.BrokenResourceError), trio.move_on_after(_CONNECTION_SECONDS):
                stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
                while wire := await _receive(stream):
                    if not asker.may_ask(trio.current_time()) or not await self._reply(stream, wire, asker):
                        break
        finally:
            connection.close()
            asker.connections -= 1
            self._open -= 1

    async def _reply(self, stream: trio.SocketStream, wire: bytes, asker: Asker) -> bool:
        """Whether the connection goes on."""
        query = read_query(wire)
        if query is None:
            return False
        if isinstance(query, Query):
            answer = self._tenant.answer_at_once(asker, query) or await self._tenant.answer(asker, query)
            query = write_answer(query, answer, _STREAM_ROOM)
        with trio.move_on_after(_SEND_SECONDS) as waiting:
            await stream.send_all(struct.pack("!H", len(query)) + query)
        return not waiting.cancelled_caught


async def _receive(stream: trio.SocketStream) -> bytes:
    """One message; nothing: the connection is over."""
    with trio.move_on_after(_IDLE_SECONDS):
        exactly = partial(_exactly, stream)
        size = struct.unpack("!H", await exactly(2) or b"\0\0")[0]
        return await exactly(size) if size <= QUERY_MAX else b""
    return b""


async def _exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await stream.receive_some(size - len(data))
        if not part:
            return b""
        data += part
    return data
