"""Whether somebody else has a port that is to be published."""

import errno
import socket
from ipaddress import ip_address

from kwhost.core.errors import Conflict, NetworkError
from kwhost.core.model.network import PublishedPort, Transport

__all__ = ["check_free"]


def check_free(port: PublishedPort) -> None:
    """Raise Conflict where a program of this host has a port that nftables would lead elsewhere."""
    address = ip_address(port.address or "0.0.0.0")  # noqa: S104 - nobody listens
    kind = socket.SOCK_STREAM if port.transport is Transport.TCP else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, kind) as probe:
        if address.version == 6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:  # what ended lately keeps nobody from it
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((str(address), port.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Conflict(f"the port {port} is taken by another program: publish another one") from error
            raise NetworkError(f"cannot publish {port}: {error.strerror}") from error
