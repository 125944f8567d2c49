"""Rules for calls, as elements of sets that the kernel accepts: boxes of addresses, transports and ports.

nftables refuses an interval that overlaps another one in a set; rules of people overlap freely.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import NamedTuple

from kwhost.core.model.network import Address, EgressRule, NameRule, Prefix, Transport
from kwhost.net.state import Key

__all__ = ["Box", "as_listed", "disjoint", "egress_keys", "is_special", "pinned_keys"]

# tables/inet.nft has the same.
SPECIAL: tuple[Prefix, ...] = tuple(
    IPv4Network(text)
    for text in [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    ]
) + tuple(
    IPv6Network(text)
    for text in ["::/3", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "4000::/2", "8000::/1"]
)
_NUMBERS = {
    4: {Transport.TCP: 6, Transport.UDP: 17, Transport.ICMP: 1},
    6: {Transport.TCP: 6, Transport.UDP: 17, Transport.ICMP: 58},
}
# As nft lists them; elements that are found are compared by their text.
_TRANSPORT_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}
_ANY_TRANSPORT, _ANY_PORT = (0, 255), (0, 65_535)


class Box(NamedTuple):
    """From the first to the last address, transport and port."""

    addresses: tuple[int, int]
    transports: tuple[int, int]
    ports: tuple[int, int]


def is_special(prefix: Prefix) -> bool:
    """Whether all of it is private, link-local, reserved or the like."""
    return any(prefix.version == one.version and _within(prefix, one) for one in SPECIAL)


def _within(inner: Prefix, outer: Prefix) -> bool:
    first, last = int(outer.network_address), int(outer.broadcast_address)
    return first <= int(inner.network_address) and int(inner.broadcast_address) <= last


def _boxes(rule: EgressRule) -> Iterator[Box]:
    addresses = int(rule.to.network_address), int(rule.to.broadcast_address)
    numbers = _NUMBERS[rule.to.version]
    transports = [numbers[rule.transport]] if rule.transport else [6, 17] if rule.ports else []
    ports = _ANY_PORT if rule.ports is None else tuple(rule.ports)
    for first, last in [(number, number) for number in transports] or [_ANY_TRANSPORT]:
        yield Box(addresses, (first, last), (ports[0], ports[1]))


def _minus(box: Box, hole: Box) -> Iterator[Box]:
    """The parts of a box that are outside another one."""
    if any(mine[1] < theirs[0] or theirs[1] < mine[0] for mine, theirs in zip(box, hole, strict=True)):
        yield box
        return
    rest = box
    for side, (first, last) in zip(Box._fields, hole, strict=True):
        low, high = getattr(rest, side)
        if low < first:
            yield rest._replace(**{side: (low, first - 1)})
        if last < high:
            yield rest._replace(**{side: (last + 1, high)})
        rest = rest._replace(**{side: (max(low, first), min(high, last))})


def disjoint(boxes: Iterable[Box]) -> list[Box]:
    """Boxes that cover the same and do not overlap."""
    done: list[Box] = []
    for box in sorted(set(boxes), key=lambda one: ([low - high for low, high in one], one)):
        parts = [box]
        for hole in done:
            parts = [rest for part in parts for rest in _minus(part, hole)]
        done += parts
    return done


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def as_listed(prefix: Prefix) -> str:
    """A prefix as nft lists it in keys of several parts."""
    return str(prefix.network_address if prefix.num_addresses == 1 else prefix)


def _address_span(first: int, last: int, version: int) -> str:
    """As nft lists it: a prefix where it is one."""
    start, end = _address(first, version), _address(last, version)
    if first == last:
        return str(start)
    nets = list(summarize_address_range(start, end))
    return str(nets[0]) if len(nets) == 1 else f"{start}-{end}"


def _address(number: int, version: int) -> Address:
    return ip_address(number.to_bytes(4 if version == 4 else 16))


def egress_keys(address: Address, rules: Iterable[EgressRule], *, special: bool) -> Iterator[Key]:
    """The keys of the permissions that an address has: for special addresses, or for all others."""
    chosen = [rule for rule in rules if rule.to.version == address.version and is_special(rule.to) is special]
    for box in disjoint(box for rule in chosen for box in _boxes(rule)):
        yield _key(address, box)


def pinned_keys(
    address: Address, target: Address, until: Iterable[tuple[float, NameRule]]
) -> dict[Key, float]:
    """The keys of the permissions to call one address, each with the last time at which a rule gives it."""
    done: list[Box] = []
    times: dict[Key, float] = {}
    for time, rule in sorted(until, key=lambda one: one[0], reverse=True):
        alike = EgressRule(to=ip_network(target), transport=rule.transport, ports=rule.ports)
        boxes = disjoint(_boxes(alike))
        for hole in done:
            boxes = [rest for box in boxes for rest in _minus(box, hole)]
        times |= {_key(address, box): time for box in boxes}
        done += boxes
    return times


def _key(address: Address, box: Box) -> Key:
    first, last = box.transports
    name = _TRANSPORT_NAMES.get(first) if first == last else None
    span = _address_span(*box.addresses, address.version)
    return str(address), span, name or _span(first, last), _span(*box.ports)
