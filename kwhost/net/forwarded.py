"""Ports that the forwarder serves, and their sockets. Whoever had them bound keeps them too: a forwarder that
is killed loses no port, and who calls meanwhile waits for the next one."""

import math
import socket
import time
from typing import NamedTuple

import trio

from kwhost.core.errors import Conflict
from kwhost.core.model.network import Address, Transport
from kwhost.net.forwarder_process import bind_port

__all__ = ["ForwardedPort", "Listeners"]

# Relays answer clients of UDP from a port's own socket, and close it when they hear that it was given up.
_CLOSING_SECONDS = 5.0
_RETRY_SECONDS = 0.005


class ForwardedPort(NamedTuple):
    """A TCP or UDP port of one address of the host."""

    transport: Transport
    address: Address
    number: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.number}/{self.transport.value}"


class Listeners:
    """Listening (UDP: bound) sockets by port."""

    def __init__(self) -> None:
        self._sockets: dict[ForwardedPort, socket.socket] = {}
        self._dropped: dict[ForwardedPort, float] = {}

    async def get(self, port: ForwardedPort) -> socket.socket:
        """The port's, which is bound if there is none. Raises Conflict where another program has it."""
        if port not in self._sockets:
            self._sockets[port] = await self._bind(port)
        return self._sockets[port]

    async def _bind(self, port: ForwardedPort) -> socket.socket:
        closed = self._dropped.pop(port, -math.inf) + _CLOSING_SECONDS
        while True:
            try:
                return await trio.to_thread.run_sync(bind_port, *port)
            except Conflict:
                if time.monotonic() > closed:
                    raise
            await trio.sleep(_RETRY_SECONDS)

    def keep(self, port: ForwardedPort, descriptor: int) -> None:
        """Take over the socket of a port that somebody else had bound."""
        listener = socket.socket(fileno=descriptor)
        self._sockets.setdefault(port, listener)
        if self._sockets[port] is not listener:
            listener.close()

    def drop(self, port: ForwardedPort) -> None:
        """Let go of a port; also where there is none."""
        if listener := self._sockets.pop(port, None):
            listener.close()
            if port.transport is Transport.UDP:
                self._dropped[port] = time.monotonic()

    def close(self) -> None:
        """Let go of all."""
        for port in tuple(self._sockets):
            self.drop(port)
