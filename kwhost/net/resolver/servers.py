"""Which resolvers of others are asked: the configured ones, or those of the host, as they are now."""

import codecs
import fcntl
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kwhost.net.zones import Upstream

__all__ = ["RESOLV_CONF", "Server", "Servers"]

RESOLV_CONF = Path("/etc/resolv.conf")
_SERVERS_MAX = 3  # as resolv.conf(5) has it
_SIZE_MAX = 65_536
_SIOCGIFINDEX = 0x8933
codecs.lookup("idna")  # getaddrinfo loads it: later it could not be read


class Server(NamedTuple):
    """Where one is asked."""

    family: socket.AddressFamily
    address: Any  # as the socket module has addresses of the family


class Servers:
    """The list; a change of the host's file is seen at the next question."""

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._hosts: list[Server] = []
        self.configured: list[Server] = []

    def configure(self, upstreams: Iterable[Upstream]) -> None:
        """Ask these instead of the host's. Raises ValueError for what is no address."""
        self.configured = [_server(one) for one in upstreams]

    def current(self) -> list[Server]:
        """Those to ask, the best first."""
        return self.configured or self._of_host()

    def _of_host(self) -> list[Server]:
        try:
            status = self._path.stat()
            seen = status.st_ino, status.st_dev, status.st_mtime_ns, status.st_size
            if seen != self._seen:
                with self._path.open(errors="replace") as file:
                    self._hosts = list(_parse(file.read(_SIZE_MAX)))[:_SERVERS_MAX]
                self._seen = seen
        except OSError:  # as it is for a moment while somebody replaces it
            return self._hosts
        return self._hosts


def _parse(text: str) -> Iterator[Server]:
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                yield _server(Upstream(words[1]))
            except ValueError:
                continue  # the C library ignores such a line too


def _server(upstream: Upstream) -> Server:
    try:
        found = socket.getaddrinfo(
            _with_index(upstream.address), upstream.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )
    except OSError:
        raise ValueError(f"{upstream.address} is no address of a resolver") from None
    family, _, _, _, address = found[0]
    return Server(family, address)


def _with_index(address: str) -> str:
    """An address on a link ("fe80::1%eth0") with the link's number. Raises OSError.

    The C library would ask for it through a Unix socket, which the resolver cannot have.
    """
    host, _, link = address.partition("%")
    if not link or link.isdecimal():
        return address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16s16x", link.encode())
        answer = fcntl.ioctl(any_socket, _SIOCGIFINDEX, request)
    return f"{host}%{struct.unpack_from('i', answer, 16)[0]}"
