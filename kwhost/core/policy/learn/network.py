"""Rules on the network: exact addresses and ports, but for ports that the kernel chose."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from kwhost.core.policy.destinations import Protocol, plain_address
from kwhost.core.policy.learn.observed import Observed, SeenAddress
from kwhost.core.policy.model import ALLOW, DENY, Verdict

__all__ = ["LearntAddress", "network_rules"]

# Of these the kernel chooses one where a program asks for none (net.ipv4.ip_local_port_range).
_CHOSEN = range(32_768, 61_000)
_CHOSEN_TEXT = f"{_CHOSEN.start}-{_CHOSEN.stop - 1}"
# A server that answers so many of them answers any.
_CLIENTS = 4
# The calls that use addresses; where none was made there is nothing to be said about the network.
_CALLS = frozenset(("bind", "connect", "listen", "sendmmsg", "sendmsg", "sendto"))


class LearntAddress(NamedTuple):
    """A rule: to an address ("any": all), or to listen where that is None; ports as the language has them,
    none: any port."""

    to: str | None
    ports: tuple[int | str, ...]
    protocol: Protocol | None
    verdict: Verdict


def network_rules(observed: Observed) -> list[LearntAddress]:
    """The rules, sorted. Where no address was used, but could be, rules that permit none."""
    listens = [seen for seen in observed.addresses if seen.listens]
    bound = {(seen.port, seen.protocol) for seen in listens if seen.call == "bind"}
    chosen = {seen for seen in listens if seen.port in _CHOSEN and (seen.port, seen.protocol) not in bound}
    own_ports = {seen.port for seen in chosen}
    rules = [*_listen_rules(listens, chosen), *_destination_rules(observed.addresses, own_ports)]
    if not rules and any(seen.call in _CALLS for seen in observed.calls):
        return [LearntAddress("any", (), None, DENY), LearntAddress(None, (), None, DENY)]
    return sorted(rules, key=str)


def _ports(ports: Iterable[int], *, chosen: bool) -> tuple[int | str, ...]:
    """The ports; with `chosen` also all that the kernel may choose."""
    single = sorted(port for port in ports if not (chosen and port in _CHOSEN))
    return (*single, *([_CHOSEN_TEXT] if chosen else []))


def _listen_rules(listens: Iterable[SeenAddress], chosen: set[SeenAddress]) -> list[LearntAddress]:
    """A port of 0 is none yet: the kernel chooses it when the socket listens, and rules name no such port."""
    by_protocol = defaultdict(set)
    for seen in listens:
        by_protocol[seen.protocol].add(seen)
    rules = []
    for protocol, group in by_protocol.items():
        single = {seen.port for seen in group - chosen}
        ports = () if 0 in single else _ports(single, chosen=bool(group & chosen))
        rules.append(LearntAddress(None, ports, protocol, ALLOW))
    return rules


def _destination_rules(addresses: Iterable[SeenAddress], own_ports: set[int]) -> list[LearntAddress]:
    """A port of 0 is none: what is connected so is only asked how it would be reached."""
    by_address = defaultdict(set)
    for seen in addresses:
        if not seen.listens:
            by_address[plain_address(seen.address), seen.protocol].add(seen.port)
    rules = []
    for (address, protocol), ports in by_address.items():
        chosen = {port for port in ports if port in _CHOSEN}
        others = len(chosen) >= _CLIENTS or bool(chosen & own_ports)
        texts = () if 0 in ports else _ports(ports, chosen=others)
        rules.append(LearntAddress(str(address), texts, protocol, ALLOW))
    return rules
