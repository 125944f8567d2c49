"""Ports of this host, taken: to be served, or to learn whether somebody else has them.

May import: core.model.
"""

import socket

from kwhost.core.model.network import Address, Transport

__all__ = ["bound_socket"]


def bound_socket(
    transport: Transport, address: Address, number: int, *, both_versions: bool = False
) -> socket.socket:
    """A socket that is bound to a port. Raises OSError.

    With `both_versions` the port of `::` is that of all IPv4 addresses too, where the host has it so.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_STREAM if transport is Transport.TCP else socket.SOCK_DGRAM)
    try:
        if address.version == 6 and not both_versions:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if transport is Transport.TCP:
            # Ended connections do not keep a port from being used again. With UDP the option would let
            # others take the port away.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((str(address), number))
    except OSError:
        made.close()
        raise
    return made
