"""Which addresses tenants and instances get: the same ones each time, as far as they are free."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface
from typing import NamedTuple, TypeVar

from kwhost.core.errors import Conflict, UsageError
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.network import Prefix
from kwhost.net.names import Mac

__all__ = [
    "Pool",
    "Subnet",
    "Used",
    "assign_addresses",
    "assign_subnets",
    "gateway",
    "link_local",
    "refuse_overlaps",
]

_Name = TypeVar("_Name", bound=str)
_Some = TypeVar("_Some")

_POOL4, _POOL6 = IPv4Network("10.88.0.0/13"), IPv6Network("fd6b:7768:6f73::/48")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where tenants' subnets come from: for each, 2^(32 - `length4`) IPv4 addresses and an IPv6 /64."""

    net4: IPv4Network = _POOL4
    net6: IPv6Network = _POOL6
    length4: int = 24

    def __post_init__(self) -> None:
        if not self.net4.prefixlen <= self.length4 <= 29:
            raise UsageError(f"tenants cannot have subnets of /{self.length4} in {self.net4}")
        if self.net6.prefixlen > 64 or not self.net6.subnet_of(IPv6Network("fc00::/7")):
            raise UsageError(f"{self.net6} is no pool: write a /64 or wider in fc00::/7")

    @property
    def size(self) -> int:
        """How many tenants can have a subnet."""
        bits4, bits6 = self.length4 - self.net4.prefixlen, 64 - self.net6.prefixlen
        return int(2 ** min(bits4, bits6))

    def subnet(self, index: int) -> "Subnet":
        """One of them; its parts in both pools have the same number."""
        net4 = IPv4Network((int(self.net4.network_address) + (index << (32 - self.length4)), self.length4))
        net6 = IPv6Network((int(self.net6.network_address) + (index << 64), 64))
        return Subnet(net4, net6)


class Subnet(NamedTuple):
    """A tenant's addresses."""

    net4: IPv4Network
    net6: IPv6Network

    def overlap(self, other: Prefix) -> Prefix | None:
        """The part that shares addresses with something else."""
        mine = self.net4 if isinstance(other, IPv4Network) else self.net6
        return mine if mine.overlaps(other) else None


class Used(NamedTuple):
    """Addresses that somebody else has, in words such as "eth0"."""

    prefix: Prefix
    by: str

    def overlaps(self, interface: str) -> bool:
        """Whether an interface's address such as "10.88.1.1/24" is in a network that shares addresses."""
        other = ip_interface(interface).network
        return other.version == self.prefix.version and other.overlaps(self.prefix)


def gateway(net: Prefix) -> IPv4Address | IPv6Address:
    """The host's address in a subnet: the first."""
    return ip_address(int(net.network_address) + 1)


def link_local(mac: Mac) -> IPv6Address:
    """The IPv6 address that an interface gives itself (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


def _preferred(name: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % size


def _place(
    names: Iterable[_Name],
    size: int,
    kept: Mapping[_Name, _Some],
    choice: Callable[[int], _Some | None],
) -> dict[_Name, _Some]:
    """A free choice for each name, beginning with the one that its digest names.

    `choice` answers None for one that is not free whatever the names are. Names that are placed already keep
    their places. Raises LookupError, with the name, when nothing is left.
    """
    placed = dict(kept)
    taken = set(kept.values())
    for name in sorted(set(names) - kept.keys()):
        start = _preferred(name, size)
        for offset in range(size):
            candidate = choice((start + offset) % size)
            if candidate is not None and candidate not in taken:
                placed[name] = candidate
                taken.add(candidate)
                break
        else:
            raise LookupError(name)
    return placed


def assign_subnets(
    pool: Pool,
    tenants: Iterable[TenantName],
    *,
    kept: Mapping[TenantName, Subnet] | None = None,
    used: Iterable[Used] = (),
) -> dict[TenantName, Subnet]:
    """A subnet for each tenant, besides those that tenants have already or the operator chose for them.

    Raises Conflict where two tenants, or a tenant and somebody else, would share addresses.
    """
    kept, used = kept or {}, tuple(used)
    refuse_overlaps(kept, used)

    def free(index: int) -> Subnet | None:
        subnet = pool.subnet(index)
        others = (other for chosen in kept.values() for other in chosen)
        if any(subnet.overlap(other) for other in (*others, *(one.prefix for one in used))):
            return None
        return subnet

    try:
        placed = _place(tenants, pool.size, kept, free)
    except LookupError as error:
        text = f"no subnet is left for tenant {error.args[0]} in {pool.net4} and {pool.net6}"
        raise Conflict(f"{text}: configure a larger subnet_pool") from None
    return placed


def refuse_overlaps(chosen: Mapping[TenantName, Subnet], used: Iterable[Used] = ()) -> None:
    """Raise Conflict where two tenants, or a tenant and somebody else, would share addresses."""
    seen = list(used)
    for tenant, subnet in sorted(chosen.items()):
        for prefix, by in seen:
            if mine := subnet.overlap(prefix):
                raise Conflict(f"tenant {tenant} cannot have {mine}: {by} has {prefix}")
        seen += [Used(net, f"tenant {tenant}") for net in subnet]


def assign_addresses(
    subnet: Subnet,
    instances: Iterable[InstanceName],
    *,
    kept: Mapping[InstanceName, IPv4Address] | None = None,
) -> dict[InstanceName, tuple[IPv4Address, IPv6Address]]:
    """Addresses for each instance of a tenant; both end in the same number.

    Raises Conflict for a kept address that is outside the subnet or belongs to two instances.
    """
    kept = kept or {}
    holders: dict[IPv4Address, str] = {gateway(subnet.net4): "the gateway"}  # type: ignore[dict-item]
    for name, address in sorted(kept.items()):
        if address not in subnet.net4:
            raise Conflict(f"instance {name} cannot have {address}: it is not in {subnet.net4}")
        if address in holders:
            raise Conflict(f"instance {name} cannot have {address}: {holders[address]} has it")
        holders[address] = f"instance {name}"
    # Without the network, the gateway and the broadcast address.
    first, size = int(subnet.net4.network_address) + 2, subnet.net4.num_addresses - 3
    try:
        placed = _place(instances, size, kept, lambda index: IPv4Address(first + index))
    except LookupError as error:
        raise Conflict(f"no address is left for instance {error.args[0]} in {subnet.net4}") from None
    base4, base6 = int(subnet.net4.network_address), int(subnet.net6.network_address)
    return {name: (address, IPv6Address(base6 + int(address) - base4)) for name, address in placed.items()}
