"""Keeps the devices of one state directory as the configuration has them. Blocking, for any thread."""

import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from threading import Lock

from kwhost.core.errors import Conflict
from kwhost.core.model.ids import TenantName
from kwhost.hookspecs import Metric, MetricKind, Sample, Uplink
from kwhost.net.names import link_group, owner_of

from kwhost_net_wireguard.configuration import Configuration, Endpoint, Peer, Tunnel
from kwhost_net_wireguard.devices import Device, Host, Step, Traffic, device_name, steps
from kwhost_net_wireguard.kernel import apply_steps, read_devices, read_traffic
from kwhost_net_wireguard.keys import NO_KEY, Key, own_key, read_key

__all__ = ["Keeper", "own_private_key"]

Subnet = tuple[IPv4Network, IPv6Network]


def own_private_key(state_dir: Path, tenant: TenantName, tunnel: Tunnel | None) -> Key:
    """The private key of a tenant on this host: that of its file, or a generated one. Raises HostError."""
    if tunnel and tunnel.private_key_file:
        return read_key(Path(tunnel.private_key_file))
    return own_key(state_dir, tenant)


class Keeper:
    """`state_dir` marks what is ours."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._owner = owner_of(str(state_dir))
        self._lock = Lock()
        # The endpoints that the kernel was told, by device and peer.
        self._told: dict[tuple[str, Key], Endpoint | None] = {}

    def uplinks(self, configuration: Configuration, tenant: TenantName, subnet: Subnet) -> tuple[Uplink, ...]:
        """Make a tenant's device as it shall be. Raises Conflict where the other hosts have addresses of this
        one, HostError."""
        tunnel = configuration.tenants.get(tenant)
        if tunnel is None or not tunnel.peers:
            return ()
        for peer in tunnel.peers:
            _refuse_overlap(tenant, peer, subnet)
        device = self._device(tenant, tunnel)
        with self._lock:
            self._change((device,), everything=False)
        subnets = tuple(network for peer in tunnel.peers for network in peer.networks)
        return (Uplink(interface=device.name, subnets=subnets, mtu=tunnel.mtu),)

    def plan(self, configuration: Configuration, tenants: Iterable[TenantName]) -> tuple[Step, ...]:
        """What has to be done for these tenants, and to what is ours and nobody's. Raises HostError."""
        with self._lock:
            return self._steps(self._devices(configuration, tenants), everything=True)

    def tend(self, configuration: Configuration, tenants: Iterable[TenantName]) -> tuple[Step, ...]:
        """Repair what somebody changed, and remove what nobody wants. What was done; raises HostError."""
        devices = self._devices(configuration, tenants)
        with self._lock:
            return self._change(devices, everything=True)

    def metrics(self, configuration: Configuration) -> tuple[Metric, ...]:
        """What passed between this host and its peers. Raises HostError."""
        found = [
            ({"tenant": tenant, "peer": key}, traffic)
            for tenant in configuration.tenants
            for key, traffic in self._traffic(TenantName(tenant))
        ]
        now = time.time()
        ages = [(labels, now - traffic.handshake) for labels, traffic in found if traffic.handshake]
        return (
            Metric(
                name="kwhost_wireguard_handshake_age_seconds",
                help="Since a peer last proved who it is.",
                kind=MetricKind.GAUGE,
                samples=tuple(Sample(value=max(0.0, age), labels=labels) for labels, age in ages),
            ),
            _counter("received", "from", ((labels, traffic.received) for labels, traffic in found)),
            _counter("sent", "to", ((labels, traffic.sent) for labels, traffic in found)),
        )

    def _traffic(self, tenant: TenantName) -> Iterator[tuple[Key, Traffic]]:
        yield from sorted(read_traffic(device_name(self._owner, tenant)).items())

    def _devices(self, configuration: Configuration, tenants: Iterable[TenantName]) -> tuple[Device, ...]:
        return tuple(
            self._device(tenant, tunnel)
            for tenant in tenants
            if (tunnel := configuration.tenants.get(tenant)) and tunnel.peers
        )

    def _device(self, tenant: TenantName, tunnel: Tunnel) -> Device:
        return Device(
            name=device_name(self._owner, tenant),
            label=f"kwhost tunnel of tenant {tenant}",
            group=link_group(self._owner),
            mtu=tunnel.mtu,
            private_key=own_private_key(self._state_dir, tenant, tunnel),
            listen_port=tunnel.listen_port,
            peers={Key(peer.public_key): _host(peer) for peer in tunnel.peers},
        )

    def _steps(self, wanted: tuple[Device, ...], *, everything: bool) -> tuple[Step, ...]:
        """`everything`: the others of ours are to go."""
        names = {device.name for device in wanted}
        found = read_devices(link_group(self._owner), names)
        if not everything:
            found = {name: device for name, device in found.items() if name in names}
        return tuple(steps(wanted, found, self._told))

    def _change(self, wanted: tuple[Device, ...], *, everything: bool) -> tuple[Step, ...]:
        todo = self._steps(wanted, everything=everything)
        apply_steps(todo)
        for device in wanted:
            self._told |= {(device.name, key): host.endpoint for key, host in device.peers.items()}
        return todo


def _host(peer: Peer) -> Host:
    path = peer.preshared_key_file
    return Host(
        preshared_key=read_key(Path(path), private=False) if path else NO_KEY,
        endpoint=peer.where,
        keepalive=peer.keepalive_seconds,
        subnets=frozenset(str(network) for network in peer.networks),
    )


def _refuse_overlap(tenant: TenantName, peer: Peer, subnet: Subnet) -> None:
    for theirs in peer.networks:
        for mine in subnet:
            if mine.version == theirs.version and mine.overlaps(theirs):
                raise Conflict(
                    f"tenant {tenant} has {mine} on this host, and {theirs} on the host with the key "
                    f"{peer.public_key}: configure another subnet for one of them"
                )


def _counter(verb: str, preposition: str, values: Iterable[tuple[dict[str, str], int]]) -> Metric:
    return Metric(
        name=f"kwhost_wireguard_{verb}_bytes_total",
        help=f"What was {verb} {preposition} a peer through its tenant's tunnel.",
        kind=MetricKind.COUNTER,
        samples=tuple(Sample(value=value, labels=labels) for labels, value in values),
    )
