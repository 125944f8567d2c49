"""Frames as a hostile instance makes them."""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from kwhost.net.names import Mac
from kwhost.net.wishes import Namespace
from tests.net.probes import checksum, icmp_echo, make_socket

__all__ = [
    "BROADCAST",
    "arp_reply",
    "ethernet",
    "hears",
    "ipv4_echo",
    "ipv6_echo",
    "neighbour_advert",
    "octets",
    "packet_socket",
    "router_advert",
]

BROADCAST = Mac("ff:ff:ff:ff:ff:ff")
_ETH_P_ALL = 3


def octets(mac: Mac) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(target: Mac, source: Mac, kind: int, payload: bytes) -> bytes:
    return octets(target) + octets(source) + struct.pack("!H", kind) + payload


def ipv4_echo(source: IPv4Address, target: IPv4Address) -> bytes:
    body = icmp_echo(1)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, 1, 0) + source.packed + target.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def _icmp6(source: IPv6Address, target: IPv6Address, body: bytes) -> bytes:
    pseudo = source.packed + target.packed + struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + source.packed + target.packed + body


def ipv6_echo(source: IPv6Address, target: IPv6Address) -> bytes:
    return _icmp6(source, target, struct.pack("!BBHHH", 128, 0, 0, 1, 1))


def neighbour_advert(source: IPv6Address, target: IPv6Address, about: IPv6Address, mac: Mac) -> bytes:
    """Says that `about` is at `mac`."""
    body = struct.pack("!BBHI", 136, 0, 0, 0x2000_0000) + about.packed + b"\2\1" + octets(mac)
    return _icmp6(source, target, body)


def router_advert(source: IPv6Address, target: IPv6Address) -> bytes:
    return _icmp6(source, target, struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0))


def arp_reply(source: Mac, sender: IPv4Address, target: Mac, asker: IPv4Address) -> bytes:
    """Says that `sender` is at `source`."""
    return (
        struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2)
        + octets(source)
        + sender.packed
        + octets(target)
        + asker.packed
    )


def packet_socket(namespace: Namespace, interface: str = "eth0") -> socket.socket:
    """Sends whole frames and hears all that the interface receives."""
    made = make_socket(namespace, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    made.bind((interface, _ETH_P_ALL))
    return made


def hears(listener: socket.socket, *frames: bytes) -> set[int]:
    """Which of the frames arrive, by number; the last one is honest and arrives after all others."""
    heard: set[int] = set()
    while len(frames) - 1 not in heard:
        try:
            frame = listener.recv(2048)
        except TimeoutError:
            return heard
        heard |= {number for number, sent in enumerate(frames) if frame == sent}
    return heard
