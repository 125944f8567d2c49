"""Names and hardware addresses of what kwhost makes: derived, never stored, and recognised again by them.

A link of kwhost has a name such as "kwv1a2b3c4d5e6f" *and* is in the link group of the state directory that
it belongs to: the kernel sets both when it makes the link, so that no crash leaves one without its mark.
"""

import hashlib
import re
from enum import Enum
from typing import NewType

from kwhost.core.model.ids import InstanceId, InstanceName, TenantName

__all__ = [
    "LINK_NAME_MAX",
    "LinkKind",
    "LinkName",
    "Mac",
    "Owner",
    "bridge_mac",
    "bridge_name",
    "doomed_group",
    "instance_mac",
    "kind_of",
    "link_group",
    "mirror_name",
    "owner_of",
    "port_name",
    "table_name",
    "table_words",
]

LINK_NAME_MAX = 15
_DIGITS = 12
_OUR_NAME = re.compile(rf"kw([bvti])[0-9a-f]{{{_DIGITS}}}")

# Eight hexadecimal digits that stand for a state directory.
Owner = NewType("Owner", str)
LinkName = NewType("LinkName", str)
# As "02:00:00:00:00:01", in lower case.
Mac = NewType("Mac", str)


class LinkKind(Enum):
    """The kinds of links that kwhost makes, by the letter in their names."""

    BRIDGE = "b"
    VETH = "v"
    TAP = "t"
    MIRROR = "i"  # an ifb: what a link receives waits there when its rate is limited


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


def owner_of(state_dir: str) -> Owner:
    """What marks the things of one state directory; two kwhosts on a host never touch each other's."""
    return Owner(_digest("owner", state_dir).hex()[:8])


def link_group(owner: Owner) -> int:
    """The link group (IFLA_GROUP) of an owner's links: even, never 0, which is everybody's."""
    return (int(owner, 16) & 0x7FFF_FFFE) or 0x7FFF_FFFE


def doomed_group(owner: Owner) -> int:
    """The group that an owner's links are moved to, so that the kernel removes all of them at once."""
    return link_group(owner) + 1


def table_name(owner: Owner) -> str:
    """The name of an owner's nftables tables, one in each family."""
    return f"kwhost-{owner}"


def table_words(family: str, owner: Owner) -> str:
    """The same, as commands of nft have it."""
    return f"table {family} {table_name(owner)}"


def bridge_name(owner: Owner, tenant: TenantName) -> LinkName:
    """The bridge of a tenant."""
    return LinkName(f"kwb{_digest('bridge', owner, tenant).hex()[:_DIGITS]}")


def port_name(kind: LinkKind, instance: InstanceId) -> LinkName:
    """The host's end of what an instance is attached with."""
    return LinkName(f"kw{kind.value}{instance}")


def mirror_name(link: LinkName) -> LinkName:
    """The mirror of a bridge or port."""
    # A bridge's digits are derived and an instance's are random: the kind goes in, so that two never meet.
    digits = link[3:] if link[2] != LinkKind.BRIDGE.value else _digest("mirror", link).hex()[:_DIGITS]
    return LinkName(f"kw{LinkKind.MIRROR.value}{digits}")


def kind_of(name: str) -> LinkKind | None:
    """The kind that a name of kwhost's says; None: it is no name of kwhost's."""
    match = _OUR_NAME.fullmatch(name)
    return LinkKind(match[1]) if match else None


def _mac(*parts: str) -> Mac:
    digest = _digest(*parts)
    # Locally administered, and no group address.
    first = (digest[0] & 0xFC) | 0x02
    return Mac(":".join(f"{byte:02x}" for byte in (first, *digest[1:6])))


def bridge_mac(owner: Owner, tenant: TenantName) -> Mac:
    """A tenant's gateway."""
    return _mac("bridge", owner, tenant)


def instance_mac(owner: Owner, tenant: TenantName, instance: InstanceName) -> Mac:
    """An instance's interface: the same each time that an instance of that name starts."""
    return _mac("instance", owner, tenant, instance)
