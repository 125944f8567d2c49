"""The state that is, as far as it is one owner's."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from kwhost.core.errors import NetworkError
from kwhost.net.addresses import Used
from kwhost.net.forwarding import FORWARDING
from kwhost.net.inside import read_inside
from kwhost.net.listing import read_tables
from kwhost.net.names import LinkKind, LinkName, Mac, Owner, doomed_group, kind_of, link_group
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import Session, open_session
from kwhost.net.nft import Nft
from kwhost.net.routes import read_routes
from kwhost.net.state import Address, Forwarding, Inside, Link, Neighbour, Setting, State, Tables, TapOptions
from kwhost.net.traffic import read_rates, read_redirects

__all__ = ["KERNEL_KINDS", "SETTINGS", "filters_bridged", "is_on", "read_state"]

SETTINGS = Path("/proc/sys/net")
KERNEL_KINDS = {
    LinkKind.BRIDGE: "bridge",
    LinkKind.VETH: "veth",
    LinkKind.TAP: "tun",
    LinkKind.MIRROR: "ifb",
}
_BRIDGE_FILTERS = ("bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables")
_IFF_UP = 1
_AF_INET, _AF_INET6, _AF_BRIDGE = 2, 10, 7
_NUD_PERMANENT, _NUD_NOARP = 0x80, 0x40
_GUARDS = {"IFLA_BRPORT_LEARNING": 0, "IFLA_BRPORT_UNICAST_FLOOD": 0, "IFLA_BRPORT_GUARD": 1}

_Names = Mapping[int, LinkName]


def read_state(nft: Nft, desired: State, known_rules: Mapping[str, str]) -> State:
    """What there is of the owner of `desired`, in the calling thread's network namespace.

    `desired` says which settings and which instances' namespaces to look at; `known_rules` leads from a
    listing of the tables to the text that they were made of.
    """
    with open_session() as session:
        messages = {message["index"]: message for message in session.get_links()}
        names = {index: message.get_attr("IFLA_IFNAME") for index, message in messages.items()}
        ours = {index for index, message in messages.items() if _is_ours(message, desired.owner)}
        own_names = {index: LinkName(names[index]) for index in ours}
        links = {own_names[index]: _link(messages[index], names) for index in ours}
        used, addresses = _addresses(session, names, own_names)
        routes = frozenset(read_routes(session, desired.owner, names))
        up = {names[index] for index, message in messages.items() if message["flags"] & _IFF_UP}
        state = State(
            owner=desired.owner,
            links=links,
            addresses=addresses,
            neighbours=frozenset(_neighbours(session, own_names)),
            forwardings=frozenset(_forwardings(session, own_names)),
            uplinks=frozenset(LinkName(name) for name in up - set(own_names.values())),
            routes=routes,
            settings=frozenset(_settings(desired)),
            rates=read_rates(session, own_names),
            redirects=read_redirects(session, own_names),
            strangers=frozenset(name for index, name in names.items() if index not in ours and kind_of(name)),
            used=used,
            filters_bridged=filters_bridged(),
            not_forwarding=frozenset(one for one in FORWARDING.values() if not is_on(one.path)),
        )
    indices = {name: index for index, name in own_names.items()}
    insides = dict(_insides(desired, indices))
    listing = read_tables(nft, desired.owner)
    rules = known_rules.get(listing.rules) if listing.rules is not None else None
    return replace(
        state,
        insides=insides,
        places={name: desired.places[name] for name in insides},
        tables=Tables(rules=rules, elements=listing.elements),
        strangers=state.strangers | listing.strangers,
    )


def _is_ours(message: Any, owner: Owner) -> bool:
    kind = kind_of(message.get_attr("IFLA_IFNAME"))
    groups = link_group(owner), doomed_group(owner)
    return (
        kind is not None
        and message.get_attr("IFLA_GROUP") in groups
        and message.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == KERNEL_KINDS[kind]
    )


def _link(message: Any, names: Mapping[int, str]) -> Link:
    name = LinkName(message.get_attr("IFLA_IFNAME"))
    kind = kind_of(name)
    assert kind
    master = names.get(message.get_attr("IFLA_MASTER"))
    return Link(
        name=name,
        kind=kind,
        mtu=message.get_attr("IFLA_MTU"),
        mac=Mac(message.get_attr("IFLA_ADDRESS")),
        master=LinkName(master) if master else None,
        label=message.get_attr("IFLA_IFALIAS") or "",
        up=bool(message["flags"] & _IFF_UP),
        guarded=_is_guarded(message),
        tap=_tap(message) if kind is LinkKind.TAP else None,
    )


def _is_guarded(message: Any) -> bool:
    if message.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_KIND") != "bridge":
        return False
    port = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA")
    return all(port.get_attr(name) == value for name, value in _GUARDS.items())


def _tap(message: Any) -> TapOptions:
    data = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
    uid = data.get_attr("IFLA_TUN_OWNER")
    return TapOptions(-1 if uid is None else uid, bool(data.get_attr("IFLA_TUN_MULTI_QUEUE")))


def _addresses(
    session: Session, names: Mapping[int, str], ours: _Names
) -> tuple[frozenset[Used], frozenset[Address]]:
    used, addresses = set(), set()
    for message in session.get_addr():
        index = message["index"]
        interface = ip_interface(
            f"{message.get_attr('IFA_LOCAL') or message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
        )
        if interface.is_link_local or interface.is_loopback:
            continue
        if index in ours:
            addresses.add(Address(ours[index], str(interface)))
        else:
            used.add(Used(interface.network, names.get(index, f"link {index}")))
    return frozenset(used), frozenset(addresses)


def _neighbours(session: Session, ours: _Names) -> Iterator[Neighbour]:
    for family in (_AF_INET, _AF_INET6):
        for message in session.get_neighbours(family=family):
            if message["ifindex"] in ours and message["state"] & _NUD_PERMANENT:
                mac = Mac(message.get_attr("NDA_LLADDR") or "")
                yield Neighbour(ours[message["ifindex"]], message.get_attr("NDA_DST"), mac)


def _forwardings(session: Session, ours: _Names) -> Iterator[Forwarding]:
    for message in session.get_neighbours(family=_AF_BRIDGE):
        in_bridge = message.get_attr("NDA_MASTER") is not None
        if message["ifindex"] in ours and in_bridge and message["state"] & _NUD_NOARP:
            yield Forwarding(ours[message["ifindex"]], Mac(message.get_attr("NDA_LLADDR")))


def _settings(desired: State) -> Iterator[Setting]:
    for setting in desired.settings:
        try:
            yield setting._replace(value=(SETTINGS / setting.path).read_text().strip())
        except FileNotFoundError:
            continue  # its link is not there


def filters_bridged() -> bool:
    """Whether bridged packets pass the rules for routed ones too (br_netfilter), in this namespace."""
    return any(map(is_on, _BRIDGE_FILTERS))


def is_on(path: str) -> bool:
    """Whether a setting of this namespace is there, and not 0."""
    try:
        return (SETTINGS / path).read_text().strip() != "0"
    except FileNotFoundError:
        return False


def _insides(desired: State, indices: Mapping[LinkName, int]) -> Iterator[tuple[LinkName, Inside]]:
    for name, place in desired.places.items():
        if name not in indices:
            continue
        try:
            inside = run_inside(place.namespace, partial(read_inside, place.interface, indices[name]))
        except NetworkError:
            continue  # the namespace is gone, and with it the pair; making it says so
        if inside:
            yield name, inside
