"""The steps that lead from one state to another. Each can be done again, and says what it does."""

from dataclasses import dataclass

from kwhost.net.names import LinkKind, LinkName
from kwhost.net.state import Address, Forwarding, Inside, InsidePlace, Link, Neighbour, Route, Setting

__all__ = [
    "AddAddress",
    "AddForwarding",
    "AddLink",
    "AddNeighbour",
    "AddRoute",
    "ChangeLink",
    "ChangeTables",
    "Furnish",
    "LimitRate",
    "Lower",
    "Raise",
    "Redirect",
    "RemoveAddress",
    "RemoveForwarding",
    "RemoveLinks",
    "RemoveNeighbour",
    "RemoveRoute",
    "Retire",
    "Set",
    "Step",
    "Unlimit",
    "Unredirect",
    "link_of",
    "needs_of",
]


@dataclass(frozen=True, slots=True)
class RemoveLinks:
    """All at once: the kernel waits as long for one as for a hundred."""

    links: tuple[LinkName, ...]

    def __str__(self) -> str:
        return f"remove the links {', '.join(self.links)}"


@dataclass(frozen=True, slots=True)
class Retire:
    """Ends of veth pairs: nothing passes them any more, and the kernel removes them when the namespace of the
    other end does. Removing one takes it 20 ms, and this nearly nothing."""

    links: tuple[LinkName, ...]

    def __str__(self) -> str:
        return f"take the links {', '.join(self.links)} out of use"


@dataclass(frozen=True, slots=True)
class AddLink:
    """Without its properties, and down; of a veth pair both ends."""

    link: Link
    place: InsidePlace | None = None

    def __str__(self) -> str:
        where = f" with {self.place.interface} in {self.place.namespace}" if self.place else ""
        return f"make the {self.link.kind.name.lower()} {self.link.name}{where}"


@dataclass(frozen=True, slots=True)
class ChangeLink:
    """All properties that a link can get after it was made."""

    link: Link

    def __str__(self) -> str:
        return f"set up the link {self.link.name}"


@dataclass(frozen=True, slots=True)
class AddAddress:
    """To a link."""

    address: Address

    def __str__(self) -> str:
        return f"give {self.address.link} the address {self.address.address}"


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    """From a link."""

    address: Address

    def __str__(self) -> str:
        return f"take the address {self.address.address} from {self.address.link}"


@dataclass(frozen=True, slots=True)
class AddNeighbour:
    """Instead of another one with that address."""

    neighbour: Neighbour

    def __str__(self) -> str:
        return f"make {self.neighbour.mac} the neighbour {self.neighbour.address} on {self.neighbour.link}"


@dataclass(frozen=True, slots=True)
class RemoveNeighbour:
    """From a link."""

    neighbour: Neighbour

    def __str__(self) -> str:
        return f"forget the neighbour {self.neighbour.address} on {self.neighbour.link}"


@dataclass(frozen=True, slots=True)
class AddForwarding:
    """To a bridge's table, by the port."""

    forwarding: Forwarding

    def __str__(self) -> str:
        return f"lead frames for {self.forwarding.mac} to {self.forwarding.link}"


@dataclass(frozen=True, slots=True)
class RemoveForwarding:
    """From a bridge's table."""

    forwarding: Forwarding

    def __str__(self) -> str:
        return f"no longer lead frames for {self.forwarding.mac} to {self.forwarding.link}"


@dataclass(frozen=True, slots=True)
class Raise:
    """Let an uplink carry packets."""

    link: LinkName

    def __str__(self) -> str:
        return f"bring up the uplink {self.link}"


@dataclass(frozen=True, slots=True)
class Lower:
    """Let what was an uplink carry nothing, before its rules go; the kernel removes its routes."""

    link: LinkName

    def __str__(self) -> str:
        return f"bring down {self.link}, which is no uplink any more"


@dataclass(frozen=True, slots=True)
class AddRoute:
    """Through an uplink, instead of the one with that prefix."""

    route: Route

    def __str__(self) -> str:
        return f"lead packets to {self.route.prefix} through {self.route.link}"


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Through an uplink."""

    route: Route

    def __str__(self) -> str:
        return f"no longer lead packets to {self.route.prefix} through {self.route.link}"


@dataclass(frozen=True, slots=True)
class Set:
    """A file in /proc/sys/net."""

    setting: Setting

    def __str__(self) -> str:
        return f"set /proc/sys/net/{self.setting.path} to {self.setting.value}"


@dataclass(frozen=True, slots=True)
class LimitRate:
    """Of what a link sends, in bits a second."""

    link: LinkName
    rate: int

    def __str__(self) -> str:
        return f"limit {self.link} to {self.rate} bit/s"


@dataclass(frozen=True, slots=True)
class Unlimit:
    """Let a link send as fast as it can."""

    link: LinkName

    def __str__(self) -> str:
        return f"take the rate limit from {self.link}"


@dataclass(frozen=True, slots=True)
class Redirect:
    """Let what a link receives wait in a mirror first."""

    link: LinkName
    mirror: LinkName

    def __str__(self) -> str:
        return f"lead what {self.link} receives through {self.mirror}"


@dataclass(frozen=True, slots=True)
class Unredirect:
    """Let a link receive directly."""

    link: LinkName

    def __str__(self) -> str:
        return f"no longer lead what {self.link} receives through another link"


@dataclass(frozen=True, slots=True)
class Furnish:
    """Give the instance's end of a veth pair its addresses and routes, and its loopback interface life."""

    link: LinkName
    place: InsidePlace
    inside: Inside

    def __str__(self) -> str:
        return f"set up {self.place.interface} in {self.place.namespace}, the other end of {self.link}"


@dataclass(frozen=True, slots=True)
class ChangeTables:
    """One transaction. Where `change` fails, somebody else changed the tables: `anew` makes them afresh."""

    change: str
    anew: str

    def __str__(self) -> str:
        return "change kwhost's nftables"


Step = (
    RemoveLinks
    | Retire
    | AddLink
    | ChangeLink
    | AddAddress
    | RemoveAddress
    | AddNeighbour
    | RemoveNeighbour
    | AddForwarding
    | RemoveForwarding
    | Raise
    | Lower
    | AddRoute
    | RemoveRoute
    | Set
    | LimitRate
    | Unlimit
    | Redirect
    | Unredirect
    | Furnish
    | ChangeTables
)


def link_of(step: Step) -> LinkName | None:
    """The link that a step is about; None: it concerns all."""
    match step:
        case RemoveLinks() | Retire() | ChangeTables():
            return None
        case AddLink(link) | ChangeLink(link):
            return link.name
        case AddAddress(item) | RemoveAddress(item) | AddNeighbour(item) | RemoveNeighbour(item):
            return item.link
        case AddForwarding(item) | RemoveForwarding(item) | AddRoute(item) | RemoveRoute(item):
            return item.link
        case Set(setting):
            return LinkName(setting.path.split("/")[2])
        case (
            LimitRate(link=link)
            | Unlimit(link)
            | Redirect(link=link)
            | Unredirect(link)
            | Furnish(link=link)
            | Raise(link)
            | Lower(link)
        ):
            return link


def needs_of(step: Step) -> str:
    """What the kernel must have for a step, for an error; empty: every kernel has it."""
    match step:
        case AddLink(link):
            return _LINK_NEEDS[link.kind]
        case LimitRate():
            return "token buckets (CONFIG_NET_SCH_TBF)"
        case Redirect():
            return "CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32 and CONFIG_NET_ACT_MIRRED"
        case _:
            return ""


_LINK_NEEDS = {
    LinkKind.BRIDGE: "bridges (CONFIG_BRIDGE)",
    LinkKind.VETH: "veth pairs (CONFIG_VETH)",
    LinkKind.TAP: "tap devices (CONFIG_TUN, /dev/net/tun)",
    LinkKind.MIRROR: "ifb devices (CONFIG_IFB)",
}
