"""What the resolver answers by, as values that travel as JSON."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, NamedTuple

import msgspec

from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.network import Address, NameRule
from kwhost.net.addresses import Subnet, gateway
from kwhost.net.names import Owner

__all__ = [
    "DOMAIN",
    "PROTOCOL",
    "Resident",
    "Upstream",
    "Zone",
    "Zones",
    "decode_zones",
    "encode_zones",
    "gateways",
]

# Raised whenever a daemon and a resolver of before would not understand each other.
PROTOCOL = 2

# The top-level domain of instances' names.
DOMAIN = "kwhost"

_ADDRESSES = (IPv4Address, IPv6Address, IPv4Network, IPv6Network)


class Upstream(NamedTuple):
    """A resolver of others. `address` may have a zone, as in "fe80::1%eth0"."""

    address: str
    port: int = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """An attached instance. `name` is its own; `services` are names that it shares with other replicas.

    One that is not `healthy` is left out of the answers for shared names. `egress` are the host names that it
    may call, besides what its attachment says.
    """

    name: InstanceName
    services: tuple[str, ...] = ()
    address4: IPv4Address
    address6: IPv6Address
    healthy: bool = True
    egress: tuple[NameRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A tenant's. It is asked at the gateways of `subnet`.

    `forwards`: any name of others may be asked for; otherwise an instance may ask for those that it may call.
    `private_answers`: names of others may have private addresses.
    """

    tenant: TenantName
    subnet: Subnet
    residents: tuple[Resident, ...] = ()
    forwards: bool = False
    private_answers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """All of an owner's tenants. Without `upstreams` the host's resolvers are asked (/etc/resolv.conf)."""

    owner: Owner
    zones: tuple[Zone, ...] = ()
    upstreams: tuple[Upstream, ...] = ()


def gateways(zone: Zone) -> tuple[Address, Address]:
    """Where a zone is asked: the IPv4 and the IPv6 address."""
    return gateway(zone.subnet.net4), gateway(zone.subnet.net6)


def encode_zones(zones: Zones) -> bytes:
    """As JSON."""
    return msgspec.json.encode(zones, enc_hook=str)


def decode_zones(data: bytes) -> Zones:
    """The zones in JSON. Raises ValueError, which says where something is wrong."""
    return msgspec.json.decode(data, type=Zones, dec_hook=_address)


def _address(kind: type[Any], value: Any) -> Any:
    if kind not in _ADDRESSES:
        raise NotImplementedError(kind)
    return kind(value)
