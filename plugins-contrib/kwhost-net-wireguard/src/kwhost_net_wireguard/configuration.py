"""The section [plugins.wireguard]."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import combinations
from typing import Annotated, NamedTuple

import msgspec
from kwhost.core.errors import UsageError
from kwhost.core.model.network import Address, Prefix
from kwhost.core.model.units import parse_duration
from msgspec import Meta

from kwhost_net_wireguard.keys import parse_key

__all__ = ["Configuration", "Endpoint", "Peer", "Tunnel"]

_KEEPALIVE_MAX = 65_535
_PORT_MAX = 65_535


class Endpoint(NamedTuple):
    """Where a peer's WireGuard listens."""

    address: Address
    port: int


class Peer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another host. `subnets`: the tenant's networks there; `endpoint`: ADDRESS:PORT or [ADDRESS]:PORT of its
    WireGuard, empty where that host is the one that calls; `keepalive`: how often something is sent so that
    firewalls between the hosts remember the tunnel, empty: never."""

    public_key: str
    subnets: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    endpoint: str = ""
    keepalive: str = ""
    preshared_key_file: str = ""

    def __post_init__(self) -> None:
        parse_key(self.public_key, "public_key")
        if self.keepalive_seconds and not 1 <= self.keepalive_seconds <= _KEEPALIVE_MAX:
            raise ValueError(f"keepalive must be 1s to {_KEEPALIVE_MAX}s, not {self.keepalive}")
        where = self.where
        for subnet in self.networks:
            if where and where.address.version == subnet.version and where.address in subnet:
                raise ValueError(f"the endpoint {self.endpoint} is in {subnet}, which is behind the tunnel")
        _check_path(self.preshared_key_file, "preshared_key_file")

    @property
    def networks(self) -> tuple[Prefix, ...]:
        """`subnets` as networks."""
        return tuple(ip_network(subnet) for subnet in self.subnets)

    @property
    def where(self) -> Endpoint | None:
        """`endpoint` as an address and a port."""
        if not self.endpoint:
            return None
        host, colon, port = self.endpoint.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        try:
            address = ip_address(bare)
        except ValueError:
            address = None
        fits = address and (address.version == 6) == (bare != host)
        if not (address and fits and colon and port.isascii() and port.isdecimal()):
            text = (
                f"{self.endpoint!r} is no endpoint: write ADDRESS:PORT or [ADDRESS]:PORT, with an IP address"
            )
            raise ValueError(text)
        if not 0 < int(port) <= _PORT_MAX:
            raise ValueError(f"{self.endpoint!r} is no endpoint: ports are 1 to {_PORT_MAX}")
        return Endpoint(address, int(port))

    @property
    def keepalive_seconds(self) -> int:
        """`keepalive` as a number; 0: never."""
        try:
            return round(parse_duration(self.keepalive)) if self.keepalive else 0
        except UsageError as error:
            raise ValueError(f"keepalive: {error}") from error


class Tunnel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant's. `private_key_file` empty: a key that kwhost generates and keeps. `mtu`: the largest packet
    inside; outside it is up to 80 bytes larger."""

    listen_port: Annotated[int, Meta(ge=1, le=_PORT_MAX)]
    peers: Annotated[tuple[Peer, ...], Meta(max_length=100)] = ()
    private_key_file: str = ""
    mtu: Annotated[int, Meta(ge=1280, le=65_455)] = 1420

    def __post_init__(self) -> None:
        _check_path(self.private_key_file, "private_key_file")
        keys = [peer.public_key for peer in self.peers]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"two peers have the public key {key}")
        _refuse_overlaps((f"peer {peer.public_key}", net) for peer in self.peers for net in peer.networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """`tenants`: the tunnels of those whose networks span hosts."""

    tenants: dict[str, Tunnel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ports: dict[int, str] = {}
        for tenant, tunnel in self.tenants.items():
            if tunnel.listen_port in ports:
                other = ports[tunnel.listen_port]
                raise ValueError(
                    f"the tenants {other} and {tenant} cannot both have listen_port {tunnel.listen_port}"
                )
            ports[tunnel.listen_port] = tenant
        _refuse_overlaps(
            (f"tenant {tenant}", net)
            for tenant, tunnel in self.tenants.items()
            for peer in tunnel.peers
            for net in peer.networks
        )


def _refuse_overlaps(networks: Iterable[tuple[str, Prefix]]) -> None:
    for (one, mine), (other, theirs) in combinations(networks, 2):
        if mine.version == theirs.version and mine.overlaps(theirs):
            raise ValueError(f"the subnets {mine} of {one} and {theirs} of {other} overlap")


def _check_path(path: str, key: str) -> None:
    if path and (not path.startswith("/") or path.endswith("/") or "\0" in path):
        raise ValueError(f"{key} must be the absolute path of a file, not {path!r}")
