"""A state of links, addresses and tables, wanted or found; two of them can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kwhost.net.addresses import Used
from kwhost.net.names import LinkKind, LinkName, Mac, Owner
from kwhost.net.wishes import Namespace

__all__ = [
    "Address",
    "Element",
    "Forwarding",
    "Inside",
    "InsidePlace",
    "Key",
    "Link",
    "Neighbour",
    "Route",
    "Setting",
    "State",
    "TableSet",
    "Tables",
    "TapOptions",
]

# The parts of an element's key as nft writes them.
Key = tuple[str, ...]


class TapOptions(NamedTuple):
    """What a tap device is made with, and cannot be changed later."""

    uid: int
    multi_queue: bool


class InsidePlace(NamedTuple):
    """Where the other end of a veth pair is."""

    namespace: Namespace
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link in the host's network namespace; `mac` None: whatever the kernel chose."""

    name: LinkName
    kind: LinkKind
    mtu: int
    mac: Mac | None = None
    master: LinkName | None = None
    label: str = ""
    up: bool = True
    guarded: bool = False  # a port that learns nothing and is not flooded with strangers' frames
    tap: TapOptions | None = None


class Address(NamedTuple):
    """An address of one of our links, such as "10.88.1.1/24"."""

    link: LinkName
    address: str


class Neighbour(NamedTuple):
    """Whom an address on a bridge belongs to, for ever."""

    link: LinkName
    address: str
    mac: Mac


class Forwarding(NamedTuple):
    """Behind which port of its bridge a hardware address is, for ever."""

    link: LinkName
    mac: Mac


class Route(NamedTuple):
    """The packets to `prefix`, such as "10.89.1.0/24", leave through an uplink."""

    link: LinkName
    prefix: str
    mtu: int


class Setting(NamedTuple):
    """A file in /proc/sys/net that is about one of our links."""

    path: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What an instance's end of a veth pair has; `gateways` are those of its default routes."""

    mac: Mac
    mtu: int
    addresses: frozenset[str]
    gateways: frozenset[str]
    up: bool = True


class TableSet(NamedTuple):
    """A set or map of nftables."""

    family: str
    name: str


class Element(NamedTuple):
    """What an element holds besides its key: data, and a statement such as "limit rate over 5/second"."""

    data: str = ""
    statement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The tables of nftables. `rules` is the text that they were made of; None: not known, or none there.

    `counted` are the keys in sets that packets fill, of things that exist.
    """

    rules: str | None = None
    elements: Mapping[TableSet, Mapping[Key, Element]] = field(default_factory=dict)
    counted: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that is `owner`'s in the host's network namespace, and the ends in those of instances.

    `rates` are those that links send at, in bits a second; `redirects` lead what a link receives through
    another one; `uplinks` are interfaces that others made and that are up, for `routes` (found: whatever is
    up and not ours). Found only: `strangers` are links and tables named as ours that are not ours, `used`
    are addresses of links that are not ours, `filters_bridged` is whether bridged packets pass the rules for
    routed ones too, `not_forwarding` are settings that would let the host forward packets, with the value
    that they need.
    """

    owner: Owner
    links: Mapping[LinkName, Link] = field(default_factory=dict)
    addresses: frozenset[Address] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()
    forwardings: frozenset[Forwarding] = frozenset()
    uplinks: frozenset[LinkName] = frozenset()
    routes: frozenset[Route] = frozenset()
    settings: frozenset[Setting] = frozenset()
    rates: Mapping[LinkName, int] = field(default_factory=dict)
    redirects: Mapping[LinkName, LinkName] = field(default_factory=dict)
    places: Mapping[LinkName, InsidePlace] = field(default_factory=dict)
    insides: Mapping[LinkName, Inside] = field(default_factory=dict)
    tables: Tables = Tables()
    strangers: frozenset[str] = frozenset()
    used: frozenset[Used] = frozenset()
    filters_bridged: bool = False
    not_forwarding: frozenset[Setting] = frozenset()
