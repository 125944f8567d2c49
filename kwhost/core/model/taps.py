"""Taps of instances whose engine drives their network interfaces itself."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

__all__ = ["TAP_QUEUES_MAX", "Tap"]

# KW_TAP_QUEUES_MAX (kw_abi.h), for those who do without the ABI.
TAP_QUEUES_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A tap device of this host, as an engine gets it.

    `queues` are descriptors in non-blocking mode, one for each queue, which stay the giver's; all are to be
    read. Frames have a virtio header of `header_size` bytes before them. `mac`, `address4` and `address6` are
    those of the guest's interface: packets of others are dropped. `mtu` is in bytes.
    """

    name: str
    queues: tuple[int, ...]
    mac: str
    mtu: int
    header_size: int
    address4: IPv4Interface
    gateway4: IPv4Address
    address6: IPv6Interface
    gateway6: IPv6Address
