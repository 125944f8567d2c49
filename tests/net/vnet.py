"""Driving the descriptors of a tap; frames have a struct virtio_net_hdr_v1 before them."""

import fcntl
import os
import select
import struct
from collections.abc import Sequence

from kwhost.net.tap import VNET_HEADER_SIZE
from tests.net.peer import Peer
from tests.net.probes import checksum

__all__ = ["drive", "offload"]

_TUNSETOFFLOAD = 0x4004_54D0
_CHECKSUMS_AND_SEGMENTS = 1 | 2 | 4  # TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6
_NEEDS_CHECKSUM = 1
_FRAME_MAX = VNET_HEADER_SIZE + 65_550


def offload(descriptor: int) -> None:
    """From here on the kernel leaves checksums and the cutting into segments to whoever reads."""
    fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _CHECKSUMS_AND_SEGMENTS)


def _read(descriptor: int) -> bytes:
    """A frame; the checksum that the kernel left open is filled in."""
    data = os.read(descriptor, _FRAME_MAX)
    flags, start, offset = data[0], *struct.unpack("=HH", data[6:10])
    frame = data[VNET_HEADER_SIZE:]
    if flags & _NEEDS_CHECKSUM:  # what stands there so far is the sum of the pseudo header
        at = start + offset
        frame = frame[:at] + struct.pack("!H", checksum(frame[start:])) + frame[at + 2 :]
    return frame


def drive(peer: Peer, descriptors: Sequence[int], stop: int) -> None:
    """Have a peer answer what comes, until `stop` can be read."""
    while stop not in (ready := select.select([stop, *descriptors], [], [])[0]):
        for descriptor in ready:
            for answer in peer.take(_read(descriptor)):
                os.write(descriptor, bytes(VNET_HEADER_SIZE) + answer)
