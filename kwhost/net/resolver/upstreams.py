"""Asks the resolvers of others, over UDP and, where that is not enough, TCP."""

import secrets
import socket
import struct
from string import ascii_letters
from typing import Final

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import trio

from kwhost.net.resolver.answers import Response
from kwhost.net.resolver.queries import PAYLOAD
from kwhost.net.resolver.responses import read_response
from kwhost.net.resolver.servers import Server, Servers

__all__ = ["RESPONSE_MAX", "Upstreams"]

# Larger answers cost too much to read, and no instance's resolver takes them.
RESPONSE_MAX: Final = 16_384
_ROUNDS = 2
_UDP_SECONDS, _TCP_SECONDS = 1.5, 3.0
_ALL_SECONDS = 8.0
_AVOID_SECONDS = 30.0
_DATAGRAM_MAX = 4096
_LETTERS = frozenset(ascii_letters.encode())
# Wrong answers to one question: somebody guesses.
_WRONG_MAX = 8


class _AskByTcp(Exception):  # noqa: N818 - a turn, not an error
    """What came by UDP is not the whole answer, or not surely the answer."""


class Upstreams:
    """Ports and numbers of questions are random, and so is the case of names: a forger has to guess all."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._avoided: dict[Server, float] = {}

    async def ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Response | None:
        """The first response that says something; None: nobody answered in time."""
        with trio.move_on_after(_ALL_SECONDS):
            for _ in range(_ROUNDS):
                for server in self._in_order():
                    response = await self._ask_one(server, name, kind)
                    if response and response.rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                        self._avoided.pop(server, None)
                        return response
                    self._avoided[server] = trio.current_time() + _AVOID_SECONDS
        return None

    def _in_order(self) -> list[Server]:
        servers, now = self._servers.current(), trio.current_time()
        self._avoided = {one: until for one, until in self._avoided.items() if until > now and one in servers}
        return sorted(servers, key=lambda one: one in self._avoided)

    async def _ask_one(
        self, server: Server, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> Response | None:
        query = dns.message.make_query(
            _random_case(name), kind, use_edns=0, payload=PAYLOAD, id=secrets.randbits(16)
        )
        try:
            with trio.move_on_after(_UDP_SECONDS):
                return await _ask_by_udp(server, query)
        except _AskByTcp:
            try:
                with trio.move_on_after(_TCP_SECONDS):
                    return await _ask_by_tcp(server, query)
            except OSError:
                return None
        except OSError:  # such as a refused port, or no route
            return None
        return None


def _random_case(name: dns.name.Name) -> dns.name.Name:
    bits = iter(bin(secrets.randbits(256) | 1 << 256)[3:])
    return dns.name.Name(
        bytes(byte ^ 0x20 if byte in _LETTERS and next(bits) == "1" else byte for byte in label)
        for label in name.labels
    )


async def _ask_by_udp(server: Server, query: dns.message.Message) -> Response:
    # A port of its own for each question, that the kernel chooses; connected, so that it hears nobody else.
    with trio.socket.socket(server.family, socket.SOCK_DGRAM) as asking:
        await asking.connect(server.address)
        await asking.send(query.to_wire())
        for _ in range(_WRONG_MAX):
            reading = read_response(await asking.recv(_DATAGRAM_MAX), query)
            if reading is None:
                continue
            if not reading.is_whole:
                break
            return reading.response
    raise _AskByTcp


async def _ask_by_tcp(server: Server, query: dns.message.Message) -> Response | None:
    with trio.socket.socket(server.family, socket.SOCK_STREAM) as asking:
        await asking.connect(server.address)
        stream = trio.SocketStream(asking)
        await stream.send_all(query.to_wire(prepend_length=True))
        size = struct.unpack("!H", await _exactly(stream, 2))[0]
        if size > RESPONSE_MAX:
            return None
        reading = read_response(await _exactly(stream, size), query, by_tcp=True)
        return reading.response if reading else None


async def _exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await stream.receive_some(size - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data
