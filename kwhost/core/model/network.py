"""What the networks of tenants allow and limit."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

__all__ = [
    "NO_LIMITS",
    "Address",
    "EgressRule",
    "NetworkLimits",
    "PortSpan",
    "Prefix",
    "Transport",
    "Uplink",
]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """An interface of the host behind which a tenant's own network goes on, such as a tunnel to another host.

    `subnets` are the addresses there; `mtu` is the largest packet that passes, in bytes.
    """

    interface: str
    subnets: tuple[Prefix, ...]
    mtu: int
