"""From the state that is to the state that shall be, in steps. Pure.

Tables are changed before links come up, so that no instance sends a packet that no rule has seen, and a link
comes up when its rates hold.
"""

from collections.abc import Iterator
from dataclasses import replace

from kwhost.core.errors import Conflict, NetworkError
from kwhost.net.forwarding import FORWARDING
from kwhost.net.names import LinkKind, LinkName, table_words
from kwhost.net.rules import FAMILIES
from kwhost.net.state import Link, State, Tables, TableSet
from kwhost.net.steps import (
    AddAddress,
    AddForwarding,
    AddLink,
    AddNeighbour,
    AddRoute,
    ChangeLink,
    Furnish,
    LimitRate,
    Lower,
    Raise,
    Redirect,
    RemoveAddress,
    RemoveForwarding,
    RemoveLinks,
    RemoveNeighbour,
    RemoveRoute,
    Retire,
    Set,
    Step,
    Unlimit,
    Unredirect,
)
from kwhost.net.transaction import change_tables

__all__ = ["plan"]

_MEANINGS = {
    "egress": "the instance {} cannot call anybody outside",
    "inner": "the instance {} cannot call anybody outside",
    "published": "no port of {} can be published",
    "everywhere": "no {} port can be published",
    "across": "nothing can pass between {} and its uplinks",
}
_ORDER = (LinkKind.BRIDGE, LinkKind.MIRROR, LinkKind.VETH, LinkKind.TAP)


def plan(desired: State, actual: State, *, retiring: bool = False) -> tuple[Step, ...]:
    """The steps; none where the states agree. `retiring`: instances' ends of links that are not wanted any
    more go soon, with their namespaces.

    Raises Conflict where something is not ours, and NetworkError where the host is set up so that what is
    wanted cannot work.
    """
    _refuse_strangers(desired, actual)
    _refuse_without_forwarding(desired, actual)
    gone = frozenset(
        name
        for name, link in actual.links.items()
        if name not in desired.links or _must_be_remade(link, desired, actual)
    )
    retired = frozenset(name for name in gone - desired.links.keys() if retiring and name in actual.places)
    found = _without(actual, gone)
    return (
        *(Lower(link) for link in sorted(actual.uplinks & _were_uplinks(actual) - desired.uplinks)),
        *_released(desired, actual, gone),
        *([Retire(tuple(sorted(retired)))] if retired else []),
        *([RemoveLinks(tuple(sorted(gone - retired)))] if gone - retired else []),
        *change_tables(desired, actual),
        *_links(desired, found),
        *_addresses(desired, found),
        *_routes(desired, found),
    )


def _refuse_strangers(desired: State, actual: State) -> None:
    needs_tables = desired.tables.rules is not None or actual.tables != Tables()
    for table in (table_words(family, desired.owner) for family in FAMILIES):
        if needs_tables and table in actual.strangers:
            raise Conflict(f"cannot make the {table}: there is one that is not kwhost's: nft delete {table}")
    for name, link in desired.links.items():
        if name in actual.strangers:
            raise Conflict(f"cannot make the link {name} ({link.label}): there is one that is not kwhost's")
    for own, address in sorted(desired.addresses):
        for used in actual.used:
            if used.overlaps(address):
                who = desired.links[own].label.removeprefix("kwhost ")
                raise Conflict(f"{who} cannot have {address}: {used.by} has {used.prefix}")


def _refuse_without_forwarding(desired: State, actual: State) -> None:
    """Whether the host forwards at all is the operator's decision: it concerns more than kwhost."""
    for place, elements in desired.tables.elements.items():
        needed = FORWARDING.get(place.name)
        if elements and needed in actual.not_forwarding:
            refused = _MEANINGS[place.name[:-1]].format(min(elements)[0])
            sysctl = f"net.{needed.path.replace('/', '.')}={needed.value}"
            raise NetworkError(f"{refused} as this host does not forward: run sysctl {sysctl}")


def _must_be_remade(found: Link, desired: State, actual: State) -> bool:
    wanted = desired.links[found.name]
    place = desired.places.get(found.name)
    return (wanted.kind, wanted.tap) != (found.kind, found.tap) or place != actual.places.get(found.name)


def _were_uplinks(actual: State) -> frozenset[LinkName]:
    """The interfaces that were wanted once, by what was done before they came up and after."""
    marked = actual.tables.elements.get(TableSet("inet", "uplinks"), {})
    return frozenset((*(LinkName(key[0]) for key in marked), *(route.link for route in actual.routes)))


def _without(state: State, gone: frozenset[LinkName]) -> State:
    """What is left once links are gone: the kernel removes with a link all that belongs to it."""
    return replace(
        state,
        links={name: link for name, link in state.links.items() if name not in gone},
        addresses=frozenset(one for one in state.addresses if one.link not in gone),
        neighbours=frozenset(one for one in state.neighbours if one.link not in gone),
        forwardings=frozenset(one for one in state.forwardings if one.link not in gone),
        settings=frozenset(one for one in state.settings if gone.isdisjoint(one.path.split("/"))),
        rates={link: rate for link, rate in state.rates.items() if link not in gone},
        redirects={
            link: mirror for link, mirror in state.redirects.items() if gone.isdisjoint((link, mirror))
        },
        insides={link: inside for link, inside in state.insides.items() if link not in gone},
    )


def _released(desired: State, actual: State, gone: frozenset[LinkName]) -> Iterator[Step]:
    """What a link loses while it stays: before its mirror goes, where its packets would be lost."""
    yield from (
        Unredirect(link) for link in sorted(actual.redirects.keys() - desired.redirects.keys() - gone)
    )
    yield from (Unlimit(link) for link in sorted(actual.rates.keys() - desired.rates.keys() - gone))


def _links(desired: State, found: State) -> Iterator[Step]:
    wanted = sorted(desired.links.values(), key=lambda link: (_ORDER.index(link.kind), link.name))
    for link in wanted:
        if link.name not in found.links:
            yield AddLink(link, desired.places.get(link.name))
    yield from (Raise(link) for link in sorted(desired.uplinks - found.uplinks))
    yield from (Set(setting) for setting in sorted(desired.settings - found.settings))
    for name, rate in sorted(desired.rates.items()):
        if found.rates.get(name) != rate:
            yield LimitRate(name, rate)
    for name, mirror in sorted(desired.redirects.items()):
        if found.redirects.get(name) != mirror:
            yield Redirect(name, mirror)
    yield from (ChangeLink(link) for link in wanted if not _is_set_up(link, found))


def _routes(desired: State, found: State) -> Iterator[Step]:
    kept = {one.prefix for one in desired.routes}
    for route in sorted(found.routes - desired.routes):
        if route.prefix not in kept and route.link in desired.uplinks:
            yield RemoveRoute(route)
    yield from (AddRoute(route) for route in sorted(desired.routes - found.routes))


def _is_set_up(wanted: Link, found: State) -> bool:
    link = found.links.get(wanted.name)
    return link is not None and (link if wanted.mac else replace(link, mac=None)) == wanted


def _addresses(desired: State, found: State) -> Iterator[Step]:
    yield from (RemoveAddress(one) for one in sorted(found.addresses - desired.addresses))
    yield from (AddAddress(one) for one in sorted(desired.addresses - found.addresses))
    kept = {(one.link, one.address) for one in desired.neighbours}
    for neighbour in sorted(found.neighbours - desired.neighbours):
        if (neighbour.link, neighbour.address) not in kept:
            yield RemoveNeighbour(neighbour)
    yield from (AddNeighbour(one) for one in sorted(desired.neighbours - found.neighbours))
    yield from (RemoveForwarding(one) for one in sorted(found.forwardings - desired.forwardings))
    yield from (AddForwarding(one) for one in sorted(desired.forwardings - found.forwardings))
    for link, inside in sorted(desired.insides.items(), key=lambda item: item[0]):
        if found.insides.get(link) != inside:
            yield Furnish(link, desired.places[link], inside)
