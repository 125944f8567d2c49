"""Whether somebody else has a port that is to be published."""

import errno
from ipaddress import ip_address

from kwhost.core.errors import Conflict, NetworkError
from kwhost.core.model.network import PublishedPort
from kwhost.net.ports import bound_socket

__all__ = ["check_free"]


def check_free(port: PublishedPort) -> None:
    """Raise Conflict where a program of this host has a port that nftables would lead elsewhere."""
    address = ip_address(port.address or "0.0.0.0")  # noqa: S104 - nobody listens
    try:
        bound_socket(port.transport, address, port.port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(f"the port {port} is taken by another program: publish another one") from error
        raise NetworkError(f"cannot publish {port}: {error.strerror}") from error
