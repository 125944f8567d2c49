"""What the networks of tenants allow and limit."""

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from kwhost.core.errors import UsageError

__all__ = [
    "NO_LIMITS",
    "Address",
    "EgressRule",
    "NameRule",
    "NetworkLimits",
    "PortSpan",
    "Prefix",
    "Transport",
    "host_pattern",
]

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.|{_LABEL}\.)(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network


class Transport(Enum):
    """What an IP packet carries, of what rules tell apart."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


class PortSpan(NamedTuple):
    """Ports from `first` to `last`."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRule:
    """Allows calls to addresses in `to`, of one transport (None: any) to some ports (None: any).

    Special addresses (private, link-local, metadata, ...) are allowed only by a rule whose `to` lies in one
    of those ranges: "0.0.0.0/0" means the public addresses.
    """

    to: Prefix
    transport: Transport | None = None
    ports: PortSpan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule:
    """Allows calls to the addresses that a host name had when the caller asked kwhost's resolver for it.

    "*.example.org" means every name below example.org; see `host_pattern`. Otherwise as EgressRule, and an
    address may be a special one only where the tenant's names may have such.
    """

    to: str
    transport: Transport | None = None
    ports: PortSpan | None = None


def host_pattern(text: str) -> str:
    """Check a host name, or "*." and one, and write it as NameRule has it. Raises UsageError."""
    pattern = text.lower().removesuffix(".")
    if len(pattern) > 253 or not _HOST.fullmatch(pattern):
        raise UsageError(f'{text!r} is no host name such as "example.org" or "*.example.org"')
    return pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLimits:
    """Of an instance or of a tenant; None: no limit.

    `upload` is what leaves it and `download` what reaches it, in bits a second; the packets are those a
    second. Of a tenant they count what passes between its network and the rest, not what its instances send
    each other. `connections` are those open at a time with the outside.
    """

    upload: int | None = None
    download: int | None = None
    upload_packets: int | None = None
    download_packets: int | None = None
    connections: int | None = None


NO_LIMITS = NetworkLimits()
