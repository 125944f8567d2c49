"""Ports of the host that lead to instances: `-p [IP:]HOST:GUEST[/udp]`."""

import re
from dataclasses import fields
from ipaddress import ip_address, ip_network

from kwhost.core.errors import UsageError
from kwhost.core.model.network import PublishedPort, Traffic, Transport, host_pattern

__all__ = ["check_port", "check_traffic", "parse_port"]

_PORT = re.compile(
    r"(?:(?P<address>[0-9.]+|\[[0-9a-fA-F:.]+\]|\*):)?(?P<port>[0-9]{1,5}):(?P<target>[0-9]{1,5})"
    r"(?:/(?P<transport>tcp|udp))?"
)
_PORT_MAX = 65_535
# tc counts bytes a second in 32 bits; other limits are smaller still.
_RATE_LEAST, _RATE_MAX, _COUNT_MAX = 8_000, 32 * 10**9, 2**31


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


def check_traffic(traffic: Traffic) -> None:
    """Raise UsageError for limits or calls that cannot be."""
    for field in fields(traffic.limits):
        value, rate = getattr(traffic.limits, field.name), field.name in ("upload", "download")
        low, high = (_RATE_LEAST, _RATE_MAX) if rate else (1, _COUNT_MAX)
        if value is not None and not low <= value <= high:
            raise UsageError(f"traffic.limits.{field.name} must be from {low} to {high}, not {value}")
    for rule in traffic.egress:
        _check_target(rule.to)
        if rule.ports and not 1 <= rule.ports.first <= rule.ports.last <= _PORT_MAX:
            raise UsageError(f"traffic.egress: {rule.ports.first}-{rule.ports.last} are no ports")
        if rule.ports and rule.transport is Transport.ICMP:
            raise UsageError("traffic.egress: icmp has no ports")


def _check_target(text: str) -> None:
    try:
        is_right = str(ip_network(text)) == text
    except ValueError:
        is_right = host_pattern(text) == text
    if not is_right:
        raise UsageError(f"traffic.egress: write {text!r} as it is, in lower case and without bits behind it")
