"""Real packets between namespaces. A socket belongs to the namespace where it was made, whoever uses it."""

import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from kwhost.core.model.network import Transport
from kwhost.net.namespaces import run_inside
from kwhost.net.wishes import Namespace
from tests.patience import SECONDS

__all__ = [
    "SILENCE",
    "checksum",
    "connected",
    "icmp_echo",
    "is_cut_off",
    "listening",
    "make_socket",
    "reaches",
    "readable",
    "until",
]

# So long nothing comes where all is dropped without a word. What does come takes microseconds, but may take
# seconds: of a pair that was just made the kernel may drop the first question for an address, which is asked
# again after a second.
SILENCE = 0.5
_PORT = 7000


def until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait for something that happens by itself."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        select.select([], [], [], 0.005)


def make_socket(namespace: Namespace, family: int, kind: int, protocol: int = 0) -> socket.socket:
    made = run_inside(namespace, lambda: socket.socket(family, kind, protocol))
    made.settimeout(SECONDS)
    return made


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def readable(*sockets: socket.socket, seconds: float = SECONDS) -> list[socket.socket]:
    return select.select(sockets, [], [], seconds)[0]


@contextmanager
def listening(namespace: Namespace, address: str, kind: int, port: int = _PORT) -> Iterator[socket.socket]:
    """A socket bound to every address of the namespace, of the family of `address`."""
    with make_socket(namespace, _family(address), kind) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("", port))
        if kind == socket.SOCK_STREAM:
            made.listen()
        yield made


@contextmanager
def connected(
    source: Namespace, target: Namespace, address: str
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """The ends of a TCP connection from `source` to `address`, in `target`."""
    kind = socket.SOCK_STREAM
    with listening(target, address, kind) as server, make_socket(source, _family(address), kind) as caller:
        caller.connect((address, _PORT))
        called, _ = server.accept()
        with called:
            yield caller, called


def reaches(
    source: Namespace, target: Namespace, address: str, transport: Transport, seconds: float = SECONDS
) -> bool:
    """Whether something at `address`, in `target`, hears what is sent from `source`."""
    if transport is Transport.ICMP:
        return _echoes(source, address, seconds)
    kind = socket.SOCK_STREAM if transport is Transport.TCP else socket.SOCK_DGRAM
    with listening(target, address, kind) as server, make_socket(source, _family(address), kind) as client:
        client.settimeout(seconds)
        try:
            client.connect((address, _PORT))
            if kind == socket.SOCK_DGRAM:
                client.send(b"hello")
        except OSError:
            return False
        return server in readable(server, client, seconds=seconds)


def is_cut_off(source: Namespace, target: Namespace, address: str, transport: Transport) -> bool:
    """Whether nothing at `address`, in `target`, hears what is sent from `source`."""
    return not reaches(source, target, address, transport, SILENCE)


def checksum(data: bytes) -> int:
    """Of the internet (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def icmp_echo(identifier: int) -> bytes:
    head = struct.pack("!BBHHH", 8, 0, 0, identifier, 1)
    return head[:2] + struct.pack("!H", checksum(head)) + head[4:]


def _echoes(source: Namespace, address: str, seconds: float) -> bool:
    """Whether an echo request is answered; a message that it was refused ends the waiting."""
    six = ip_address(address).version == 6
    protocol = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    identifier = os.urandom(2)
    number = int.from_bytes(identifier)
    with make_socket(source, _family(address), socket.SOCK_RAW, protocol) as pinger:
        request = struct.pack("!BBHHH", 128, 0, 0, number, 1) if six else icmp_echo(number)
        reply, refused, header = (129, 1, 40) if six else (0, 3, 20)
        end = time.monotonic() + seconds
        try:
            pinger.sendto(request, (address, 0))
            while readable(pinger, seconds=max(0, end - time.monotonic())):
                message = pinger.recv(2048)[0 if six else 20 :]
                quoted = message[8 + header :]
                if message[0] == refused and quoted[4:6] == identifier:
                    return False
                if message[0] == reply and message[4:6] == identifier:
                    return True
        except OSError:
            return False
    return False
