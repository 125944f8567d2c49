"""What the networks of tenants allow and limit."""

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from kwhost.core.errors import UsageError

__all__ = [
    "HOST_NETWORK",
    "NO_LIMITS",
    "NO_NETWORK",
    "NO_TRAFFIC_OF_ITS_OWN",
    "TENANT_NETWORK",
    "Address",
    "Egress",
    "EgressRule",
    "InstanceAddresses",
    "NameRule",
    "NetworkLimits",
    "PortSpan",
    "Prefix",
    "PublishedPort",
    "TenantNetwork",
    "Traffic",
    "Transport",
    "Uplink",
    "host_pattern",
]

# The networks that are built in.
NO_NETWORK, TENANT_NETWORK, HOST_NETWORK = "none", "tenant", "host"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """An EgressRule or NameRule as a definition keeps it: `to` is a network's text, or a host name."""

    to: str
    transport: Transport | None = None
    ports: PortSpan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What an instance may send and receive; `isolated`: it sees no other instance of its tenant. `egress`
    is allowed besides what the tenant's is."""

    limits: NetworkLimits = NO_LIMITS
    egress: tuple[Egress, ...] = ()
    isolated: bool = False


NO_TRAFFIC_OF_ITS_OWN = Traffic()


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantNetwork:
    """A tenant's network. `subnet` None: kwhost chooses one. `egress` is what all its instances may call;
    `isolated`: none of them sees another."""

    subnet: str | None = None
    mtu: int = 1500
    limits: NetworkLimits = NO_LIMITS
    egress: tuple[Egress, ...] = ()
    isolated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A port of this host that leads to one of an instance's. `address` is one of this host's, or "" for
    all of them."""

    port: int
    target: int
    transport: Transport = Transport.TCP
    address: str = "127.0.0.1"

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address or "*"
        return f"{shown}:{self.port}->{self.target}/{self.transport.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceAddresses:
    """Where an instance is in its tenant's network: the same each time it starts. `tap`: its engine drives a
    tap, and there is no network namespace with the interface in it."""

    address4: str
    address6: str
    subnet4: str
    subnet6: str
    mac: str
    tap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """An interface of the host behind which a tenant's own network goes on, such as a tunnel to another host.

    `subnets` are the addresses there; `mtu` is the largest packet that passes, in bytes.
    """

    interface: str
    subnets: tuple[Prefix, ...]
    mtu: int
