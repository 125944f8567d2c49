"""Ports that the forwarder serves, and their sockets. Whoever had them bound keeps them too: a forwarder that
is killed loses no port, and who calls meanwhile waits for the next one."""

import socket
from typing import NamedTuple

import trio

from kwhost.core.model.network import Address, Transport
from kwhost.net.forwarder_process import bind_port

__all__ = ["ForwardedPort", "Listeners"]


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

    async def get(self, port: ForwardedPort) -> socket.socket:
        """The port's, which is bound if there is none. Raises Conflict where another program has it."""
        if port not in self._sockets:
            self._sockets[port] = await trio.to_thread.run_sync(bind_port, *port)
        return self._sockets[port]

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

    def close(self) -> None:
        """Let go of all."""
        for port in tuple(self._sockets):
            self.drop(port)
