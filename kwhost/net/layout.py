"""From wishes to the state of links that fulfils them. Pure."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kwhost.core.errors import Conflict
from kwhost.core.model.network import NetworkLimits
from kwhost.net.addresses import Subnet, gateway, refuse_overlaps
from kwhost.net.elements import wanted_tables
from kwhost.net.names import (
    LinkKind,
    LinkName,
    Mac,
    Owner,
    bridge_mac,
    bridge_name,
    instance_mac,
    mirror_name,
    port_name,
)
from kwhost.net.state import (
    Address,
    Forwarding,
    Inside,
    InsidePlace,
    Link,
    Neighbour,
    Route,
    Setting,
    State,
    TapOptions,
)
from kwhost.net.uplinks import refuse_uplinks
from kwhost.net.wishes import Attachment, Network, TapEnd, VethEnd, Wishes

if TYPE_CHECKING:
    from kwhost.core.model.ids import TenantName

__all__ = ["lay_out", "port_of", "refuse_conflicts"]

# Of each uplink: what it receives is forwarded, whatever the other links do, and no router but us.
_UPLINK_SETTINGS = (
    ("ipv4/conf/{}/forwarding", "1"),
    ("ipv4/conf/{}/send_redirects", "0"),
    ("ipv4/conf/{}/accept_redirects", "0"),
    ("ipv4/conf/{}/route_localnet", "0"),
    ("ipv6/conf/{}/accept_ra", "0"),
    ("ipv6/conf/{}/accept_redirects", "0"),
)
# Of each bridge: the same, with no address but ours.
_BRIDGE_SETTINGS = (
    *_UPLINK_SETTINGS,
    ("ipv6/conf/{}/accept_dad", "0"),
    ("ipv6/conf/{}/addr_gen_mode", "1"),
)
# A port or mirror only carries frames: the host itself has no address there.
_PORT_SETTINGS = (("ipv6/conf/{}/disable_ipv6", "1"),)


def port_of(attachment: Attachment) -> LinkName:
    """The host's end of an instance's attachment."""
    kind = LinkKind.TAP if isinstance(attachment.end, TapEnd) else LinkKind.VETH
    return port_name(kind, attachment.instance)


def lay_out(wishes: Wishes) -> State:
    """The links, their properties and the tables. Raises Conflict where wishes contradict each other."""
    refuse_conflicts(wishes)
    networks = {network.tenant: network for network in wishes.networks}
    pairs = [(attachment, networks[attachment.tenant]) for attachment in wishes.attachments]
    owner = wishes.owner
    links = [_bridge(owner, network) for network in wishes.networks]
    links += [_port(owner, attachment, network) for attachment, network in pairs]
    limits = {bridge_name(owner, network.tenant): network.limits for network in wishes.networks}
    limits |= {port_of(attachment): attachment.limits for attachment in wishes.attachments}
    mirrors = {link.name: _mirror(link) for link in links if limits[link.name].upload is not None}
    every = {link.name: link for link in (*links, *mirrors.values())}
    if len(every) != len(links) + len(mirrors):
        raise Conflict("two links of kwhost would have the same name: attach no instance twice")
    routes = frozenset(_routes(wishes.networks))
    return State(
        owner=owner,
        links=every,
        addresses=frozenset(_gateways(owner, wishes.networks)),
        neighbours=frozenset(_neighbours(owner, wishes.attachments)),
        forwardings=frozenset(
            Forwarding(port_of(one), instance_mac(owner, one.tenant, one.name)) for one in wishes.attachments
        ),
        uplinks=frozenset(route.link for route in routes),
        routes=routes,
        settings=frozenset((*_settings(every.values()), *_uplink_settings(routes))),
        rates=dict(_rates(limits)),
        redirects={name: mirror.name for name, mirror in mirrors.items()},
        places={
            port_of(one): InsidePlace(one.end.namespace, one.end.interface)
            for one in wishes.attachments
            if isinstance(one.end, VethEnd)
        },
        insides={
            port_of(one): _inside(owner, one, network)
            for one, network in pairs
            if isinstance(one.end, VethEnd)
        },
        tables=wanted_tables(wishes, {one.instance: port_of(one) for one in wishes.attachments}),
    )


def refuse_conflicts(wishes: Wishes) -> None:
    """Raise Conflict where networks or attachments contradict each other."""
    subnets: dict[TenantName, Subnet] = {}
    for network in wishes.networks:
        if network.tenant in subnets:
            raise Conflict(f"tenant {network.tenant} has two networks")
        subnets[network.tenant] = network.subnet
    refuse_overlaps(subnets)
    refuse_uplinks(wishes.networks)
    holders: dict[object, str] = {}
    for one in wishes.attachments:
        if one.tenant not in subnets:
            raise Conflict(f"instance {one.tenant}/{one.name} has no network: its tenant has none")
        subnet, who = subnets[one.tenant], f"instance {one.tenant}/{one.name}"
        for address, net in ((one.address4, subnet.net4), (one.address6, subnet.net6)):
            if address not in net or address == gateway(net):
                raise Conflict(f"{who} cannot have {address}: it is not for instances in {net}")
        mac = instance_mac(wishes.owner, one.tenant, one.name)
        for thing in (one.address4, one.address6, (one.tenant, mac), one.instance):
            if thing in holders:
                raise Conflict(f"{who} cannot have {_show(thing)}: {holders[thing]} has it")
            holders[thing] = who


def _show(thing: object) -> str:
    return f"the hardware address {thing[1]}" if isinstance(thing, tuple) else str(thing)


def _bridge(owner: Owner, network: Network) -> Link:
    return Link(
        name=bridge_name(owner, network.tenant),
        kind=LinkKind.BRIDGE,
        mtu=network.mtu,
        mac=bridge_mac(owner, network.tenant),
        label=f"kwhost tenant {network.tenant}",
    )


def _port(owner: Owner, attachment: Attachment, network: Network) -> Link:
    end = attachment.end
    return Link(
        name=port_of(attachment),
        kind=LinkKind.TAP if isinstance(end, TapEnd) else LinkKind.VETH,
        mtu=network.mtu,
        master=bridge_name(owner, network.tenant),
        label=f"kwhost instance {attachment.tenant}/{attachment.name}",
        guarded=True,
        tap=TapOptions(end.uid, end.multi_queue) if isinstance(end, TapEnd) else None,
    )


def _mirror(link: Link) -> Link:
    return Link(
        name=mirror_name(link.name), kind=LinkKind.MIRROR, mtu=link.mtu, label=f"kwhost limits {link.name}"
    )


def _gateways(owner: Owner, networks: Iterable[Network]) -> Iterator[Address]:
    for network in networks:
        for net in network.subnet:
            yield Address(bridge_name(owner, network.tenant), f"{gateway(net)}/{net.prefixlen}")


def _neighbours(owner: Owner, attachments: Iterable[Attachment]) -> Iterator[Neighbour]:
    for one in attachments:
        mac = instance_mac(owner, one.tenant, one.name)
        for address in (one.address4, one.address6):
            yield Neighbour(bridge_name(owner, one.tenant), str(address), mac)


def _settings(links: Iterable[Link]) -> Iterator[Setting]:
    for link in links:
        settings = _BRIDGE_SETTINGS if link.kind is LinkKind.BRIDGE else _PORT_SETTINGS
        for path, value in settings:
            yield Setting(path.format(link.name), value)


def _routes(networks: Iterable[Network]) -> Iterator[Route]:
    for network in networks:
        for uplink in network.uplinks:
            for prefix in uplink.subnets:
                yield Route(LinkName(uplink.interface), str(prefix), uplink.mtu)


def _uplink_settings(routes: Iterable[Route]) -> Iterator[Setting]:
    for link in {route.link for route in routes}:
        for path, value in _UPLINK_SETTINGS:
            yield Setting(path.format(link), value)


def _rates(limits: dict[LinkName, NetworkLimits]) -> Iterator[tuple[LinkName, int]]:
    for link, limit in limits.items():
        if limit.download is not None:
            yield link, limit.download // 8 * 8
        if limit.upload is not None:
            yield mirror_name(link), limit.upload // 8 * 8


def _inside(owner: Owner, attachment: Attachment, network: Network) -> Inside:
    nets: tuple[tuple[object, int], ...] = (
        (attachment.address4, network.subnet.net4.prefixlen),
        (attachment.address6, network.subnet.net6.prefixlen),
    )
    return Inside(
        mac=Mac(instance_mac(owner, attachment.tenant, attachment.name)),
        mtu=network.mtu,
        addresses=frozenset(f"{address}/{length}" for address, length in nets),
        gateways=frozenset(str(gateway(net)) for net in network.subnet),
    )
