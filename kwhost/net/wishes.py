"""What a kwhost wants of its host's network, as values."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, NewType

from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.network import NO_LIMITS, Address, EgressRule, NetworkLimits, Transport, Uplink
from kwhost.net.addresses import Subnet
from kwhost.net.names import Owner

__all__ = [
    "MTU",
    "Attachment",
    "HostService",
    "Namespace",
    "Network",
    "Published",
    "TapEnd",
    "Uplink",
    "VethEnd",
    "Wishes",
    "namespace_of_descriptor",
    "namespace_of_process",
]

MTU = 1500

# The path of a network namespace, such as "/proc/123/ns/net".
Namespace = NewType("Namespace", str)


def namespace_of_process(pid: int) -> Namespace:
    """Of a process that the caller keeps from being reaped: a pid that is used again is somebody else."""
    return Namespace(f"/proc/{pid}/ns/net")


def namespace_of_descriptor(descriptor: int) -> Namespace:
    """Of an open descriptor of this process, which stays open while the namespace is used."""
    return Namespace(f"/proc/self/fd/{descriptor}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VethEnd:
    """A pair of interfaces, one of which is `interface` in the instance's network namespace."""

    namespace: Namespace
    interface: str = "eth0"


@dataclass(frozen=True, slots=True, kw_only=True)
class TapEnd:
    """A device that the user `uid` may open, with several queues or one; frames have a vnet header."""

    uid: int
    multi_queue: bool = True


class HostService(NamedTuple):
    """A port of the gateway that a tenant's instances may call, such as the resolver's."""

    transport: Transport
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A tenant's network: a bridge whose gateway is the host.

    Between it and the subnets of its `uplinks` pass the tenant's own packets, and nothing else. Somebody else
    makes these interfaces, and leaves them down: they are brought up here, when the rules hold.
    """

    tenant: TenantName
    subnet: Subnet
    mtu: int = MTU
    limits: NetworkLimits = NO_LIMITS
    services: tuple[HostService, ...] = ()
    uplinks: tuple[Uplink, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """An instance's interface in its tenant's network. `isolated`: it sees no other instance."""

    instance: InstanceId
    tenant: TenantName
    name: InstanceName
    end: VethEnd | TapEnd
    address4: IPv4Address
    address6: IPv6Address
    isolated: bool = False
    limits: NetworkLimits = NO_LIMITS
    egress: tuple[EgressRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A port of the host that leads to instances, in turn; never one on a loopback address.

    `address` None: on every address of the host. `targets` are the attached instances that are healthy.
    """

    transport: Transport
    address: Address | None = None
    port: int
    targets: tuple[InstanceId, ...]
    target_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """All that one state directory wants; what it owns and does not want any more is removed."""

    owner: Owner
    networks: tuple[Network, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    published: tuple[Published, ...] = ()
