"""What rules on the network are about: addresses to send to, and ports to listen on."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from kwhost.core.errors import UsageError
from kwhost.core.model.network import Address, Prefix

__all__ = [
    "Destination",
    "Direction",
    "PortRange",
    "Protocol",
    "parse_ports",
    "parse_prefix",
    "plain_address",
]

_MAPPED = IPv6Network("::ffff:0:0/96")
_PORT_MAX = 65_535


class Direction(Enum):
    """Whether the instance calls or is called."""

    TO = "to"
    LISTEN = "listen"


class Protocol(Enum):
    """What ports belong to."""

    TCP = "tcp"
    UDP = "udp"


class PortRange(NamedTuple):
    """Ports from `first` to `last`."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Addresses in `prefix` (None: any) and ports (none: any) of a protocol (None: any)."""

    direction: Direction
    prefix: Prefix | None = None
    ports: tuple[PortRange, ...] = ()
    protocol: Protocol | None = None

    @property
    def specificity(self) -> tuple[int, int]:
        """The prefix's length, with IPv4 addresses as a part of the IPv6 ones; then how much else is said."""
        length = 0
        if self.prefix:
            length = self.prefix.prefixlen + (96 if self.prefix.version == 4 else 0)
        return length, (self.ports != ()) + (self.protocol is not None)

    def matches(self, direction: Direction, address: Address, port: int, protocol: Protocol | None) -> bool:
        """Whether it is about this; `address` as plain_address gives it."""
        return (
            direction is self.direction
            and self.protocol in (None, protocol)
            and (not self.ports or any(first <= port <= last for first, last in self.ports))
            and (self.prefix is None or address in self.prefix)
        )

    def covers(self, other: "Destination") -> bool:
        """All that `other` is about, this is about too."""
        return (
            other.direction is self.direction
            and self.protocol in (None, other.protocol)
            and (not self.ports or _ports_within(other.ports, self.ports))
            and (self.prefix is None or (other.prefix is not None and _is_subnet(other.prefix, self.prefix)))
        )

    def excludes(self, other: "Destination") -> bool:
        """Nothing is what both are about."""
        return (
            other.direction is not self.direction
            or (None not in (self.protocol, other.protocol) and self.protocol is not other.protocol)
            or bool(self.ports and other.ports and not _ports_meet(self.ports, other.ports))
            or (
                self.prefix is not None
                and other.prefix is not None
                and not (_is_subnet(self.prefix, other.prefix) or _is_subnet(other.prefix, self.prefix))
            )
        )

    def __str__(self) -> str:
        words = [self.direction.value]
        if self.direction is Direction.TO:
            words.append(str(self.prefix) if self.prefix else "any")
        if self.protocol:
            words.append(self.protocol.value)
        if self.ports:
            words.append("port " + ", ".join(map(str, self.ports)))
        return " ".join(words)


def _is_subnet(inner: Prefix, outer: Prefix) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _ports_within(inner: tuple[PortRange, ...], outer: tuple[PortRange, ...]) -> bool:
    """Each range of `inner` lies in one of `outer`; ranges that touch are not put together."""
    return bool(inner) and all(any(o.first <= i.first and i.last <= o.last for o in outer) for i in inner)


def _ports_meet(some: tuple[PortRange, ...], others: tuple[PortRange, ...]) -> bool:
    return any(a.first <= b.last and b.first <= a.last for a in some for b in others)


def plain_address(address: Address) -> Address:
    """What an address means: an IPv4 one written as an IPv6 one is itself, and nobody's is one's own."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_unspecified:
        return IPv4Address("127.0.0.1") if address.version == 4 else IPv6Address("::1")
    return address


def parse_prefix(text: str) -> Prefix | None:
    """Read 10.0.0.0/8, 192.0.2.1, 2001:db8::/32 or any. Raises UsageError."""
    if text == "any":
        return None
    try:
        prefix = ip_network(text, strict=False)
    except ValueError:
        raise UsageError(f"{text!r} is no address: write for example 10.0.0.0/8, 192.0.2.1 or any") from None
    if isinstance(prefix, IPv6Network) and _MAPPED.subnet_of(prefix) and prefix != _MAPPED:
        raise UsageError(f"{text!r} has the IPv4 addresses in it: write any, or a longer prefix as 2000::/3")
    if isinstance(prefix, IPv6Network) and _is_subnet(prefix, _MAPPED):
        plain = IPv4Address(int(prefix.network_address) & 0xFFFF_FFFF)
        raise UsageError(f"{text!r} is an IPv4 address: write {plain}/{prefix.prefixlen - 96}")
    if "/" in text and ip_address(text.partition("/")[0]) != prefix.network_address:
        raise UsageError(f"{text!r} has bits behind its prefix: write {prefix}")
    return prefix


def parse_ports(value: int | str) -> PortRange:
    """Read 443 or "8000-8080". Raises UsageError."""
    ends = str(value).split("-")
    if len(ends) > 2 or not all(end.isascii() and end.isdigit() and len(end) <= 5 for end in ends):
        raise UsageError(f'{value!r} is no port: write a number from 1 to {_PORT_MAX}, or "8000-8080"')
    ports = PortRange(int(ends[0]), int(ends[-1]))
    if not 1 <= ports.first <= ports.last <= _PORT_MAX:
        raise UsageError(f"there are no ports {value}: they are 1 to {_PORT_MAX}, the lower one first")
    return ports
