"""What attached instances want of the network, as kwhost.net takes it. Pure."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_network,
)

from kwhost.core.errors import Conflict
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.mounts import Mount, MountKind
from kwhost.core.model.network import (
    Egress,
    EgressRule,
    InstanceAddresses,
    NameRule,
    PublishedPort,
    TenantNetwork,
    Transport,
)
from kwhost.core.model.taps import Tap
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.networking import TrafficCounts
from kwhost.net.addresses import Subnet, gateway
from kwhost.net.layout import port_of
from kwhost.net.names import Owner, instance_mac
from kwhost.net.resolving import RESOLVER_SERVICES, Resident, Zone, Zones, resolver_configuration
from kwhost.net.statistics import NetworkCounts
from kwhost.net.tap import VNET_HEADER_SIZE
from kwhost.net.wishes import Attachment, Network, Published, TapEnd, VethEnd, namespace_of_descriptor

__all__ = [
    "Group",
    "Member",
    "attachment_of",
    "files_of",
    "groups",
    "is_loopback",
    "make_addresses",
    "networks_of",
    "published_of",
    "subnet_of",
    "tap_of",
    "traffic_of",
    "zones_of",
]

_NO_NETWORK = TenantNetwork()
# Nobody else may open a tap: an engine gets the descriptors, and not the right to open more.
_ROOT = 0


@dataclass(slots=True, kw_only=True)
class Member:
    """An attached instance; `serving`: published ports lead to it. `pid` is known once its program runs;
    `namespace` is -1 where a tap attaches it."""

    record: InstanceRecord
    tenant: Tenant
    namespace: int
    addresses: InstanceAddresses
    serving: bool
    pid: int | None = None

    @property
    def owner(self) -> tuple[TenantName, InstanceName]:
        """Who has its ports: all replicas together."""
        return self.record.tenant, self.record.definition.replica_of or self.record.name


def subnet_of(addresses: InstanceAddresses) -> Subnet:
    """The tenant's subnet that an instance's addresses are in."""
    return _subnet(addresses.subnet4, addresses.subnet6)


@lru_cache(1024)
def _subnet(net4: str, net6: str) -> Subnet:
    """Asked for each instance whenever one comes or goes."""
    return Subnet(IPv4Network(net4), IPv6Network(net6))


def make_addresses(
    owner: Owner, record: InstanceRecord, subnet: Subnet, addresses: tuple[IPv4Address, IPv6Address]
) -> InstanceAddresses:
    """What is kept of an instance's place in its tenant's network."""
    return InstanceAddresses(
        address4=str(addresses[0]),
        address6=str(addresses[1]),
        subnet4=str(subnet.net4),
        subnet6=str(subnet.net6),
        mac=instance_mac(owner, record.tenant, record.name),
    )


def _is_name(rule: Egress) -> bool:
    try:
        ip_network(rule.to)
    except ValueError:
        return True
    return False


def _rules(egress: Iterable[Egress]) -> tuple[EgressRule, ...]:
    return tuple(
        EgressRule(to=ip_network(rule.to), transport=rule.transport, ports=rule.ports)
        for rule in egress
        if not _is_name(rule)
    )


def _name_rules(egress: Iterable[Egress]) -> tuple[NameRule, ...]:
    return tuple(
        NameRule(to=rule.to, transport=rule.transport, ports=rule.ports) for rule in egress if _is_name(rule)
    )


def _end(member: Member) -> VethEnd | TapEnd:
    if member.addresses.tap:
        return TapEnd(uid=_ROOT)
    return VethEnd(namespace=namespace_of_descriptor(member.namespace))


def tap_of(member: Member, queues: tuple[int, ...]) -> Tap:
    """A member's tap, as its engine gets it; `queues` are open descriptors."""
    [network] = networks_of([member])
    net4, net6 = network.subnet
    address4, address6 = member.addresses.address4, member.addresses.address6
    return Tap(
        name=port_of(attachment_of(member)),
        queues=queues,
        mac=member.addresses.mac,
        mtu=network.mtu,
        header_size=VNET_HEADER_SIZE,
        address4=IPv4Interface(f"{address4}/{net4.prefixlen}"),
        gateway4=IPv4Address(gateway(net4)),
        address6=IPv6Interface(f"{address6}/{net6.prefixlen}"),
        gateway6=IPv6Address(gateway(net6)),
    )


def _egress(member: Member) -> tuple[Egress, ...]:
    network = member.tenant.network or _NO_NETWORK
    return (*network.egress, *member.record.definition.traffic.egress)


def attachment_of(member: Member) -> Attachment:
    """A member's interface in its tenant's network."""
    record, traffic = member.record, member.record.definition.traffic
    network = member.tenant.network or _NO_NETWORK
    return Attachment(
        instance=record.id,
        tenant=record.tenant,
        name=record.name,
        end=_end(member),
        address4=IPv4Address(member.addresses.address4),
        address6=IPv6Address(member.addresses.address6),
        isolated=network.isolated or traffic.isolated,
        limits=traffic.limits,
        egress=_rules(_egress(member)),
    )


def networks_of(members: Iterable[Member]) -> tuple[Network, ...]:
    """The networks of all tenants that have a member."""
    networks: dict[TenantName, Network] = {}
    for member in members:
        network = member.tenant.network or _NO_NETWORK
        networks[member.tenant.name] = Network(
            tenant=member.tenant.name,
            subnet=subnet_of(member.addresses),
            mtu=network.mtu,
            limits=network.limits,
            services=RESOLVER_SERVICES,
        )
    return tuple(networks.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A published port with the members that have it: one, or replicas."""

    port: PublishedPort
    members: tuple[Member, ...]

    @property
    def serving(self) -> tuple[InstanceId, ...]:
        """Those that calls are led to."""
        return tuple(member.record.id for member in self.members if member.serving)


def groups(members: Iterable[Member]) -> tuple[Group, ...]:
    """All published ports. Raises Conflict where two that are no replicas of each other have the same."""
    found: dict[tuple[Transport, int, str], list[tuple[Member, PublishedPort]]] = {}
    for member in members:
        for port in member.record.definition.ports:
            found.setdefault((port.transport, port.port, port.address), []).append((member, port))
    for (transport, number, address), having in found.items():
        others = having if not address else [*having, *found.get((transport, number, ""), ())]
        for member, port in others:
            if member.owner != having[0][0].owner:
                first, other = (f"{tenant}/{name}" for tenant, name in (having[0][0].owner, member.owner))
                raise Conflict(f"{other} cannot have the port {port}: {first} has it")
    return tuple(
        Group(port=having[0][1], members=tuple(member for member, _ in having)) for having in found.values()
    )


def is_loopback(port: PublishedPort) -> bool:
    """Whether no rule of nftables can lead there."""
    return bool(port.address) and ip_address(port.address).is_loopback


def published_of(all_groups: Iterable[Group], attached: Container[InstanceId]) -> Iterator[Published]:
    """What nftables serves: ports that lead to those who are attached already. Of a port on all addresses,
    loopback's are left out."""
    for group in all_groups:
        if not is_loopback(group.port):
            yield Published(
                transport=group.port.transport,
                address=ip_address(group.port.address) if group.port.address else None,
                port=group.port.port,
                targets=tuple(one for one in group.serving if one in attached),
                target_port=group.port.target,
            )


def zones_of(owner: Owner, members: Iterable[Member]) -> Zones:
    """The names that instances find each other by, and those of others that they may call."""
    residents: dict[Network, list[Member]] = {}
    for member in members:
        [network] = networks_of([member])
        residents.setdefault(network, []).append(member)
    return Zones(
        owner=owner,
        zones=tuple(
            Zone(
                tenant=network.tenant,
                subnet=network.subnet,
                residents=tuple(_resident(member) for member in those),
                forwards=any(_rules(_egress(member)) for member in those),
            )
            for network, those in residents.items()
        ),
    )


def _resident(member: Member) -> Resident:
    record = member.record
    shared = record.definition.replica_of
    return Resident(
        name=record.name,
        services=(shared,) if shared else (),
        address4=IPv4Address(member.addresses.address4),
        address6=IPv6Address(member.addresses.address6),
        healthy=member.serving,
        egress=_name_rules(_egress(member)),
    )


def traffic_of(counts: NetworkCounts) -> TrafficCounts:
    """What was counted, as the API shows it."""
    return TrafficCounts(
        sent_bytes=counts.sent_bytes,
        sent_packets=counts.sent_packets,
        received_bytes=counts.received_bytes,
        received_packets=counts.received_packets,
        refused_packets={reason.name.lower(): number for reason, number in counts.refused.items()},
    )


def files_of(record: InstanceRecord, addresses: InstanceAddresses) -> tuple[Mount, ...]:
    """The instance's /etc/hosts and /etc/resolv.conf."""
    resolver = resolver_configuration(record.tenant, subnet_of(addresses))
    return (
        Mount(MountKind.FILE, "/etc/hosts", _hosts(record, addresses), mode=0o644),
        Mount(MountKind.FILE, "/etc/resolv.conf", resolver, mode=0o644),
    )


def _hosts(record: InstanceRecord, addresses: InstanceAddresses) -> str:
    names = f"{record.name}.{record.tenant}.kwhost {record.name}"
    lines = (
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        f"{addresses.address4}\t{names}",
        f"{addresses.address6}\t{names}",
    )
    return "".join(f"{line}\n" for line in lines)
