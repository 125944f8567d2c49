"""What the sets and maps of kwhost's tables hold for given wishes. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import cycle, islice

from kwhost.core.errors import Conflict
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import NetworkLimits, Transport
from kwhost.net.addresses import gateway, link_local
from kwhost.net.egress import as_listed, egress_keys
from kwhost.net.names import LinkName, Owner, bridge_mac, bridge_name, instance_mac
from kwhost.net.rules import OPTIONAL_SETS, rules_text
from kwhost.net.state import Element, Key, Tables, TableSet
from kwhost.net.wishes import Attachment, Network, Published, Wishes

__all__ = ["COUNTED_SETS", "TURNS", "wanted_tables"]

# tables/inet.nft takes turns between so many.
TURNS = 16
# Packets fill these, and the resolver the pinned ones; kwhost only removes what belongs to nothing any more.
COUNTED_SETS = (
    TableSet("inet", "refused"),
    TableSet("inet", "refused4"),
    TableSet("inet", "refused6"),
    TableSet("bridge", "refused"),
    TableSet("inet", "open"),
    TableSet("inet", "open4"),
    TableSet("inet", "open6"),
    TableSet("inet", "pinned4"),
    TableSet("inet", "pinned6"),
)

_Entry = tuple[TableSet, Key, Element]


def wanted_tables(wishes: Wishes, ports: Mapping[InstanceId, LinkName]) -> Tables:
    """The tables for all wishes, none where there is none; `ports` are the links of the attachments."""
    if not wishes.networks and not wishes.published:
        return Tables()
    elements: dict[TableSet, dict[Key, Element]] = defaultdict(dict)
    counted: set[Key] = set()
    for network in wishes.networks:
        bridge = bridge_name(wishes.owner, network.tenant)
        counted |= {(bridge,), *((uplink.interface,) for uplink in network.uplinks)}
        for place, key, element in _of_network(wishes.owner, network, bridge):
            elements[place][key] = element
    for one in wishes.attachments:
        port = ports[one.instance]
        counted |= {(port,), (str(one.address4),), (str(one.address6),)}
        for place, key, element in _of_attachment(wishes, one, port):
            elements[place][key] = element
    attached = {one.instance: one for one in wishes.attachments}
    for place, key, element in _of_published(wishes.published, attached):
        if key in elements[place]:
            raise Conflict(f"port {key[-2]} of {key[-3]} would be published twice")
        elements[place][key] = element
    limits = {one.limits.connections for one in wishes.networks} | {
        one.limits.connections for one in wishes.attachments
    }
    used = frozenset(
        place.name for place in elements if place.family == "bridge" and place.name in OPTIONAL_SETS
    )
    rules = rules_text(wishes.owner, frozenset(limit for limit in limits if limit is not None), used)
    return Tables(rules=rules, elements=elements, counted=frozenset(counted))


def _entry(family: str, name: str, *key: object, data: str = "", statement: str = "") -> _Entry:
    return TableSet(family, name), tuple(str(part) for part in key), Element(data, statement)


def _packets(limits: NetworkLimits) -> Iterator[tuple[str, int]]:
    if limits.upload_packets is not None:
        yield "packets_up", limits.upload_packets
    if limits.download_packets is not None:
        yield "packets_down", limits.download_packets


def _packet_limit(rate: int) -> str:
    # A tenth of a second's packets may come at once; fewer than a few would hold up single answers.
    return f"limit rate over {rate}/second burst {max(5, rate // 10)} packets"


def _of_network(owner: Owner, network: Network, bridge: LinkName) -> Iterator[_Entry]:
    net4, net6 = network.subnet
    yield _entry("inet", "bridges", bridge)
    yield _entry("inet", "within", bridge, bridge)
    yield _entry("inet", "subnets4", net4)
    yield _entry("inet", "subnets6", net6)
    for uplink in network.uplinks:
        yield _entry("inet", "uplinks", uplink.interface)
        for prefix in uplink.subnets:
            own = net4 if prefix.version == 4 else net6
            ends = bridge, uplink.interface, own, as_listed(prefix)
            yield _entry("inet", f"across{prefix.version}", *ends)
    for service in network.services:
        yield _entry("inet", "services4", bridge, gateway(net4), service.transport.value, service.port)
        yield _entry("inet", "services6", bridge, gateway(net6), service.transport.value, service.port)
    for name, rate in _packets(network.limits):
        mac = bridge_mac(owner, network.tenant)
        yield _entry("bridge", f"tenant_{name}", mac, statement=_packet_limit(rate))
    if network.limits.connections is not None:
        for name in ("tenant_calls", "tenant_called"):
            yield _entry("inet", name, bridge, data=f"jump {name}_{network.limits.connections}")


def _of_attachment(wishes: Wishes, one: Attachment, port: LinkName) -> Iterator[_Entry]:
    mac = instance_mac(wishes.owner, one.tenant, one.name)
    local = link_local(mac)
    yield _entry("bridge", "ports", port)
    yield _entry("bridge", "senders", port, mac)
    yield _entry("bridge", "addresses4", port, mac, one.address4)
    yield _entry("bridge", "resolvers", port, mac, one.address4)
    yield _entry("bridge", "resolvers", port, mac, "0.0.0.0")  # noqa: S104 - nobody listens there
    for address in (one.address6, local):
        yield _entry("bridge", "addresses6", port, mac, address)
        yield _entry("bridge", "targets6", port, f"{int(address):#x}")
    for name, rate in _packets(one.limits):
        yield _entry("bridge", name, port, statement=_packet_limit(rate))
    if one.isolated:
        yield _entry("bridge", "isolated", port)
        yield _entry("inet", "isolated4", one.address4)
        yield _entry("inet", "isolated6", one.address6)
    for version, own in ((4, one.address4), (6, one.address6)):
        for name, special in ((f"egress{version}", False), (f"inner{version}", True)):
            for key in egress_keys(own, one.egress, special=special):
                yield _entry("inet", name, *key)
        if one.limits.connections is not None:
            for name in ("calls", "called"):
                chain = f"{name}_{one.limits.connections}"
                yield _entry("inet", f"{name}{version}", own, data=f"jump {chain}")


def _of_published(
    published: tuple[Published, ...], attached: Mapping[InstanceId, Attachment]
) -> Iterator[_Entry]:
    for one in published:
        if one.transport is Transport.ICMP or (one.address and one.address.is_loopback):
            raise Conflict(f"port {one.port} cannot be published by nftables on {one.address or 'ICMP'}")
        for target in one.targets:
            if target not in attached:
                raise Conflict(f"port {one.port} cannot lead to {target}: it is not attached to a network")
        for version in (4, 6) if one.address is None else (one.address.version,):
            where = ("everywhere",) if one.address is None else ("published", one.address)
            targets = islice(cycle(one.targets), TURNS if one.targets else 0)
            for turn, target in enumerate(targets):
                instance = attached[target]
                to = instance.address4 if version == 4 else instance.address6
                key = (*where[1:], one.transport.value, one.port, turn)
                data = f"{to} . {one.target_port}"
                yield _entry("inet", f"{where[0]}{version}", *key, data=data)
