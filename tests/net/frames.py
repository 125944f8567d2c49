"""Frames as a hostile instance makes them."""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from kwhost.net.names import Mac
from kwhost.net.wishes import Namespace
from tests.net.probes import checksum, icmp_echo, make_socket

__all__ = [
    "ARP",
    "BROADCAST",
    "IPV4",
    "IPV6",
    "arp_reply",
    "ethernet",
    "hears",
    "ip_packet",
    "ipv4_echo",
    "ipv6_echo",
    "neighbour_advert",
    "octets",
    "packet_socket",
    "router_advert",
]

BROADCAST = Mac("ff:ff:ff:ff:ff:ff")
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
_ETH_P_ALL = 3


def octets(mac: Mac) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(target: Mac, source: Mac, kind: int, payload: bytes) -> bytes:
    return octets(target) + octets(source) + struct.pack("!H", kind) + payload


def ip_packet(
    source: IPv4Address | IPv6Address, target: IPv4Address | IPv6Address, protocol: int, body: bytes
) -> bytes:
    """With the most hops, as neighbour discovery wants it."""
    ends = source.packed + target.packed
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 255) + ends + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 255, protocol, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def ipv4_echo(source: IPv4Address, target: IPv4Address) -> bytes:
    return ip_packet(source, target, 1, icmp_echo(1))


def _icmp6(source: IPv6Address, target: IPv6Address, body: bytes) -> bytes:
    pseudo = source.packed + target.packed + struct.pack("!II", len(body), 58)
    body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
    return ip_packet(source, target, 58, body)


def ipv6_echo(source: IPv6Address, target: IPv6Address) -> bytes:
    return _icmp6(source, target, struct.pack("!BBHHH", 128, 0, 0, 1, 1))


def neighbour_advert(
    source: IPv6Address, target: IPv6Address, about: IPv6Address, mac: Mac, *, solicited: bool = False
) -> bytes:
    """Says that `about` is at `mac`."""
    flags = 0x6000_0000 if solicited else 0x2000_0000
    body = struct.pack("!BBHI", 136, 0, 0, flags) + about.packed + b"\2\1" + octets(mac)
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
