"""Ports of the host that lead to instances: `-p [IP:]HOST:GUEST[/udp]`."""

import re
from ipaddress import ip_address

from kwhost.core.errors import UsageError
from kwhost.core.model.network import PublishedPort, Transport

__all__ = ["check_port", "parse_port"]

_PORT = re.compile(
    r"(?:(?P<address>[0-9.]+|\[[0-9a-fA-F:.]+\]|\*):)?(?P<port>[0-9]{1,5}):(?P<target>[0-9]{1,5})"
    r"(?:/(?P<transport>tcp|udp))?"
)
_PORT_MAX = 65_535


def parse_port(text: str) -> PublishedPort:
    """Read [IP:]HOST:GUEST[/tcp|/udp]; without an address it is 127.0.0.1. Raises UsageError."""
    match = _PORT.fullmatch(text)
    if not match:
        raise UsageError(f"{text!r} is no port: write HOST:GUEST or IP:HOST:GUEST, and /udp for UDP")
    published = PublishedPort(
        address=_address(match["address"]),
        port=int(match["port"]),
        target=int(match["target"]),
        transport=Transport(match["transport"] or "tcp"),
    )
    check_port(published)
    return published


def _address(text: str | None) -> str:
    if text is None:
        return "127.0.0.1"
    if text == "*":
        return ""
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        raise UsageError(f"{text} is no address") from None
    return "" if address.is_unspecified else str(address)


def check_port(published: PublishedPort) -> None:
    """Raise UsageError for one that cannot be."""
    for number in (published.port, published.target):
        if not 1 <= number <= _PORT_MAX:
            raise UsageError(f"{number} is no port: ports are from 1 to {_PORT_MAX}")
    if published.transport is Transport.ICMP:
        raise UsageError("icmp has no ports")
    if published.address and str(_parsed(published.address)) != published.address:
        raise UsageError(f"{published.address!r} is no address")


def _parsed(text: str) -> object:
    try:
        return ip_address(text)
    except ValueError:
        return None
