"""WireGuard devices, wanted or found, and the steps that lead from these to those. Pure.

A device's name is derived from state directory and tenant, and its link group is the state directory's: the
kernel sets both when it makes the device, so that no crash leaves one that nobody recognises.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from kwhost.core.model.ids import TenantName
from kwhost.net.names import Owner

from kwhost_net_wireguard.configuration import Endpoint
from kwhost_net_wireguard.keys import NO_KEY, Key

__all__ = [
    "AddDevice",
    "ChangeKeys",
    "ChangeLink",
    "Device",
    "Host",
    "RemoveDevice",
    "RemovePeer",
    "SetPeer",
    "Step",
    "Traffic",
    "device_name",
    "is_device_name",
    "steps",
]

_PREFIX, _DIGITS = "kww", 12


def device_name(owner: Owner, tenant: TenantName) -> str:
    """The name of a tenant's device."""
    return _PREFIX + hashlib.sha256(f"wireguard\0{owner}\0{tenant}".encode()).hexdigest()[:_DIGITS]


def is_device_name(name: str) -> bool:
    """Whether `device_name` gives such names."""
    digits = name.removeprefix(_PREFIX)
    return len(digits) == _DIGITS == len(name) - len(_PREFIX) and set(digits) <= set("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A peer. `endpoint` of a found one is where it spoke from last."""

    preshared_key: Key = field(default=NO_KEY, repr=False)
    endpoint: Endpoint | None = None
    keepalive: int = 0
    subnets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A WireGuard device; `peers` by public key. Whether it is up is kwhost's."""

    name: str
    label: str
    group: int
    mtu: int
    private_key: Key = field(repr=False)
    listen_port: int
    peers: Mapping[Key, Host] = field(default_factory=dict)


class Traffic(NamedTuple):
    """What passed between a device and a peer, in bytes; `handshake` is when the last one was, in seconds
    since 1970, 0: there was none."""

    received: int
    sent: int
    handshake: float


@dataclass(frozen=True, slots=True)
class RemoveDevice:
    """With all that belongs to it."""

    name: str

    def __str__(self) -> str:
        return f"remove the WireGuard device {self.name}"


@dataclass(frozen=True, slots=True)
class AddDevice:
    """With its mark and MTU, down, without keys and peers."""

    device: Device

    def __str__(self) -> str:
        return f"make the WireGuard device {self.device.name} ({self.device.label})"


@dataclass(frozen=True, slots=True)
class ChangeLink:
    """What every link has: its mark, alias and MTU."""

    device: Device

    def __str__(self) -> str:
        return f"set up the WireGuard device {self.device.name} ({self.device.label})"


@dataclass(frozen=True, slots=True)
class ChangeKeys:
    """The private key and the port."""

    device: Device

    def __str__(self) -> str:
        return f"set the key and port {self.device.listen_port} of {self.device.name} ({self.device.label})"


@dataclass(frozen=True, slots=True)
class RemovePeer:
    """From a device."""

    name: str
    key: Key

    def __str__(self) -> str:
        return f"remove the peer {self.key} from {self.name}"


@dataclass(frozen=True, slots=True)
class SetPeer:
    """All of a peer; its endpoint, where `host` has one."""

    name: str
    key: Key
    host: Host

    def __str__(self) -> str:
        return f"set the peer {self.key} of {self.name}"


Step = RemoveDevice | AddDevice | ChangeLink | ChangeKeys | RemovePeer | SetPeer


def steps(
    wanted: Iterable[Device], found: Mapping[str, Device], told: Mapping[tuple[str, Key], Endpoint | None]
) -> Iterator[Step]:
    """What is to be done. `told` are the endpoints that the kernel was told before: a peer that has moved
    since is left where it is, until its endpoint in the configuration changes."""
    kept = {device.name: device for device in wanted}
    yield from (RemoveDevice(name) for name in sorted(found.keys() - kept.keys()))
    for name, device in sorted(kept.items()):
        there = found.get(name)
        if there is None:
            yield AddDevice(device)
        if there is None or (there.label, there.group, there.mtu) != (device.label, device.group, device.mtu):
            yield ChangeLink(device)
        keys = device.private_key, device.listen_port
        if there is None or (there.private_key, there.listen_port) != keys:
            yield ChangeKeys(device)
        yield from _peers(device, there.peers if there else {}, told)


def _peers(
    device: Device, found: Mapping[Key, Host], told: Mapping[tuple[str, Key], Endpoint | None]
) -> Iterator[Step]:
    # First those who go: an address beyond the tunnel is one peer's alone.
    yield from (RemovePeer(device.name, key) for key in sorted(found.keys() - device.peers.keys()))
    for key, host in sorted(device.peers.items()):
        there = found.get(key)
        if there is None or told.get((device.name, key), there.endpoint) != host.endpoint:
            yield SetPeer(device.name, key, host)
        elif replace(there, endpoint=host.endpoint) != host:
            yield SetPeer(device.name, key, replace(host, endpoint=None))
