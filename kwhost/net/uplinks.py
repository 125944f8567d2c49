"""Which uplinks of networks can be: an interface or an address beyond it is one tenant's alone. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from kwhost.core.errors import Conflict, NetworkError
from kwhost.net.addresses import Used
from kwhost.net.names import LinkName, kind_of
from kwhost.net.wishes import Network, Uplink, Wishes

__all__ = ["refuse_uplinks", "without_conflicts", "without_used"]


def refuse_uplinks(networks: Iterable[Network]) -> None:
    """Raise Conflict where an uplink's interface or subnets are somebody else's too."""
    for _, _, conflict in _judged(tuple(networks)):
        if conflict:
            raise conflict


def without_conflicts(networks: Iterable[Network]) -> tuple[tuple[Network, ...], tuple[Conflict, ...]]:
    """The networks with those uplinks that can be, and why the others cannot: for what plugins answered."""
    networks = tuple(networks)
    judged = tuple(_judged(networks))
    fit = tuple(
        replace(network, uplinks=tuple(uplink for one, uplink, why in judged if one is network and not why))
        for network in networks
    )
    return fit, tuple(conflict for _, _, conflict in judged if conflict)


def without_used(wishes: Wishes, used: frozenset[Used]) -> tuple[Wishes, dict[LinkName, NetworkError]]:
    """The wishes with those uplinks that take nothing from the host itself, and why the others cannot be."""
    problems: dict[LinkName, NetworkError] = {}
    for network in wishes.networks:
        for uplink in network.uplinks:
            if text := _host_has(uplink, used):
                name = f"tenant {network.tenant} cannot have the uplink {uplink.interface}"
                problems[LinkName(uplink.interface)] = NetworkError(f"{name}: {text}")
    if not problems:
        return wishes, {}
    networks = tuple(
        replace(network, uplinks=tuple(one for one in network.uplinks if one.interface not in problems))
        for network in wishes.networks
    )
    return replace(wishes, networks=networks), problems


def _host_has(uplink: Uplink, used: frozenset[Used]) -> str | None:
    for prefix, by in sorted(used, key=str):
        if by == uplink.interface:
            return f"it has an address of this host, in {prefix}"
        for subnet in uplink.subnets:
            if subnet.version == prefix.version and subnet.overlaps(prefix):
                return f"{by} has {prefix}, which overlaps {subnet}"
    return None


def _judged(networks: tuple[Network, ...]) -> Iterator[tuple[Network, Uplink, Conflict | None]]:
    """Each uplink, and why it cannot be beside the networks and the uplinks before it."""
    taken = [Used(net, f"tenant {network.tenant}") for network in networks for net in network.subnet]
    users: dict[str, str] = {}
    for network in networks:
        for uplink in network.uplinks:
            conflict = _conflict(network, uplink, taken, users)
            if not conflict:
                who = f"the uplink {uplink.interface} of tenant {network.tenant}"
                users[uplink.interface] = who
                taken += [Used(prefix, who) for prefix in uplink.subnets]
            yield network, uplink, conflict


def _conflict(network: Network, uplink: Uplink, taken: list[Used], users: dict[str, str]) -> Conflict | None:
    name = f"tenant {network.tenant} cannot have the uplink {uplink.interface}"
    if kind_of(uplink.interface):
        return Conflict(f"{name}: kwhost's own links have such names")
    if uplink.interface in users:
        return Conflict(f"{name}: it is {users[uplink.interface]}")
    seen = list(taken)
    for prefix in uplink.subnets:
        for used in seen:
            if used.prefix.version == prefix.version and used.prefix.overlaps(prefix):
                return Conflict(f"{name} to {prefix}: {used.by} has {used.prefix}")
        seen.append(Used(prefix, "the same uplink"))
    return None
