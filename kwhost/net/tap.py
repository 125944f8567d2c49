"""Tap devices: made whole or not at all, and opened for an engine (linux/if_tun.h)."""

import fcntl
import os
import struct
from collections.abc import Callable

from kwhost.core.errors import NetworkError
from kwhost.net.names import LinkName
from kwhost.net.state import TapOptions

__all__ = ["VNET_HEADER_SIZE", "make_tap", "open_tap"]

# Of virtio 1.0: struct virtio_net_hdr_v1.
VNET_HEADER_SIZE = 12

_TUNSETIFF, _TUNSETPERSIST, _TUNSETOWNER = 0x4004_54CA, 0x4004_54CB, 0x4004_54CC
_TUNSETVNETHDRSZ, _TUNSETOFFLOAD = 0x4004_54D8, 0x4004_54D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100


def make_tap(name: LinkName, options: TapOptions, mark: Callable[[], None]) -> None:
    """Make a persistent tap device. `mark` is called while it would still go away with this process."""
    descriptor = _attach(name, options)
    try:
        fcntl.ioctl(descriptor, _TUNSETOWNER, options.uid)
        mark()
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
    finally:
        os.close(descriptor)


def open_tap(name: LinkName, options: TapOptions, queues: int) -> list[int]:
    """A descriptor for each queue, in non-blocking mode; the caller closes them.

    Frames have a virtio header of VNET_HEADER_SIZE bytes, and nothing is offloaded unless the holder of a
    descriptor says otherwise. Raises NetworkError.
    """
    if queues > 1 and not options.multi_queue:
        raise NetworkError(f"the tap {name} has one queue, not {queues}")
    opened: list[int] = []
    try:
        for _ in range(queues):
            opened.append(_attach(name, options))
            fcntl.ioctl(opened[-1], _TUNSETVNETHDRSZ, struct.pack("i", VNET_HEADER_SIZE))
            fcntl.ioctl(opened[-1], _TUNSETOFFLOAD, 0)
    except OSError as error:
        for descriptor in opened:
            os.close(descriptor)
        raise NetworkError(f"cannot open the tap {name}: {error.strerror}") from error
    return opened


def _attach(name: LinkName, options: TapOptions) -> int:
    """A descriptor of the device, which is made if there is none."""
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | (_IFF_MULTI_QUEUE if options.multi_queue else 0)
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
