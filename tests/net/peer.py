"""A small network stack, for what is behind a tap: answers ARP, neighbour discovery and echo requests, and
gives back over TCP what it is sent. Pure: frames in, frames out. It sends nothing twice: what carries its
frames must lose none."""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from kwhost.net.names import Mac
from tests.net.frames import ARP, IPV4, IPV6, arp_reply, ethernet, ip_packet, neighbour_advert
from tests.net.probes import checksum

__all__ = ["TCP_PORT", "Peer"]

TCP_PORT = 80
_ICMP, _TCP, _ICMP6 = 1, 6, 58
_FIN, _SYN, _RST, _PSH, _ACK = 1, 2, 4, 8, 16
_WINDOW, _MOD = 0xFFFF, 1 << 32
_FIRST_NUMBER = _MOD - 1000  # numbers begin again at 0 within a connection

Address = IPv4Address | IPv6Address


def _pseudo_header(source: Address, target: Address, protocol: int, length: int) -> bytes:
    """What a checksum covers beside the segment (RFC 9293, RFC 8200)."""
    numbers = (
        struct.pack("!xBH", protocol, length) if source.version == 4 else struct.pack("!II", length, protocol)
    )
    return source.packed + target.packed + numbers


@dataclass(slots=True)
class _Packet:
    """An IP packet, and who sent the frame."""

    mac: Mac
    source: Address
    target: Address
    protocol: int
    body: bytes

    def is_whole(self) -> bool:
        covered = self.body
        if self.protocol != _ICMP:
            covered = _pseudo_header(self.source, self.target, self.protocol, len(self.body)) + self.body
        return checksum(covered) == 0


@dataclass(slots=True)
class _Connection:
    """One from a caller; numbers are of what is received and sent next, and of what it has confirmed."""

    expected: int
    segment: int
    window: int
    sent: int = _FIRST_NUMBER
    confirmed: int = _FIRST_NUMBER
    waiting: bytearray = field(default_factory=bytearray)
    ended: bool = False
    finished: bool = False

    def confirm(self, number: int, window: int) -> None:
        if (number - self.confirmed) % _MOD <= (self.sent - self.confirmed) % _MOD:
            self.confirmed = number
        self.window = window

    def room(self) -> int:
        return min(self.segment, self.window - (self.sent - self.confirmed) % _MOD)


class Peer:
    """Behind a tap with these addresses; whatever it is changed to say later may be a lie.

    `heard` are the IP addresses that packets came from, `damaged` counts those with a false checksum,
    `longest` is the most bytes that a frame had.
    """

    def __init__(self, mac: Mac, address4: IPv4Address, address6: IPv6Address, mtu: int = 1500) -> None:
        self.mac, self.address4, self.address6 = mac, address4, address6
        self.heard: Counter[Address] = Counter()
        self.damaged = 0
        self.longest = 0
        self._mtu = mtu
        self._connections: dict[tuple[Address, int], _Connection] = {}

    def take(self, frame: bytes) -> Iterator[bytes]:
        """The frames that answer one."""
        self.longest = max(self.longest, len(frame))
        mac, kind, payload = Mac(frame[6:12].hex(":")), int.from_bytes(frame[12:14]), frame[14:]
        if kind == ARP and payload[6:8] == b"\0\1" and payload[24:28] == self.address4.packed:
            asker = IPv4Address(payload[14:18])
            yield ethernet(mac, self.mac, ARP, arp_reply(self.mac, self.address4, mac, asker))
        packet = _read4(mac, payload) if kind == IPV4 else _read6(mac, payload) if kind == IPV6 else None
        if packet is None:
            return
        self.heard[packet.source] += 1
        if not packet.is_whole():
            self.damaged += 1
        elif packet.protocol == _ICMP6 and packet.body[0] == 135:
            yield from self._advertise(packet)
        elif packet.target not in (self.address4, self.address6):
            return
        elif packet.protocol in (_ICMP, _ICMP6):
            yield from self._echo(packet)
        elif packet.protocol == _TCP:
            yield from self._segments(packet)

    def _advertise(self, packet: _Packet) -> Iterator[bytes]:
        if packet.body[8:24] == self.address6.packed:
            assert isinstance(packet.source, IPv6Address)
            advert = neighbour_advert(self.address6, packet.source, self.address6, self.mac, solicited=True)
            yield ethernet(packet.mac, self.mac, IPV6, advert)

    def _answer(self, packet: _Packet, body: bytes, at: int) -> bytes:
        """A frame back, with the checksum at an offset."""
        own = self.address4 if packet.source.version == 4 else self.address6
        covered = body
        if packet.protocol != _ICMP:
            covered = _pseudo_header(own, packet.source, packet.protocol, len(body)) + body
        body = body[:at] + struct.pack("!H", checksum(covered)) + body[at + 2 :]
        kind = IPV4 if own.version == 4 else IPV6
        return ethernet(packet.mac, self.mac, kind, ip_packet(own, packet.source, packet.protocol, body))

    def _echo(self, packet: _Packet) -> Iterator[bytes]:
        request, reply = (8, 0) if packet.protocol == _ICMP else (128, 129)
        if packet.body[0] == request:
            yield self._answer(packet, bytes((reply, 0, 0, 0)) + packet.body[4:], 2)

    # TCP (RFC 9293), without options but the largest segment, and without sending again.

    def _segments(self, packet: _Packet) -> Iterator[bytes]:
        port, own, number, confirmed, offset, flags, window = struct.unpack("!HHIIBBH", packet.body[:16])
        data, caller = packet.body[(offset >> 4) * 4 :], (packet.source, port)
        if flags & _RST:
            self._connections.pop(caller, None)
            return
        if flags & _SYN and own == TCP_PORT:
            largest = self._mtu - (40 if packet.source.version == 4 else 60)
            self._connections[caller] = _Connection((number + 1) % _MOD, largest, window)
        if (connection := self._connections.get(caller)) is None:
            yield self._segment(packet, 0, (number + len(data) + 1) % _MOD, _RST | _ACK)
        elif flags & _SYN:
            option = struct.pack("!BBH", 2, 4, connection.segment)
            yield self._segment(packet, connection.sent, connection.expected, _SYN | _ACK, option)
            connection.sent = (connection.sent + 1) % _MOD
        else:
            connection.confirm(confirmed, window)
            yield from self._go_on(packet, connection, number, data, flags)
            if connection.finished and connection.confirmed == connection.sent:
                del self._connections[caller]

    def _go_on(
        self, packet: _Packet, connection: _Connection, number: int, data: bytes, flags: int
    ) -> Iterator[bytes]:
        """Take what comes in order, and give back as much as the caller has room for."""
        owed = bool(data or flags & _FIN)
        if number == connection.expected and not connection.ended:
            connection.waiting += data
            connection.ended = bool(flags & _FIN)
            connection.expected = (number + len(data) + connection.ended) % _MOD
        while connection.waiting and (room := connection.room()) > 0:
            piece = bytes(connection.waiting[:room])
            del connection.waiting[:room]
            yield self._segment(packet, connection.sent, connection.expected, _ACK | _PSH, data=piece)
            connection.sent, owed = (connection.sent + len(piece)) % _MOD, False
        if connection.ended and not connection.waiting and not connection.finished:
            yield self._segment(packet, connection.sent, connection.expected, _FIN | _ACK)
            connection.sent, connection.finished, owed = (connection.sent + 1) % _MOD, True, False
        if owed:
            yield self._segment(packet, connection.sent, connection.expected, _ACK)

    def _segment(
        self, packet: _Packet, number: int, expected: int, flags: int, options: bytes = b"", data: bytes = b""
    ) -> bytes:
        port, own = struct.unpack("!HH", packet.body[:4])
        offset = (20 + len(options)) // 4 << 4
        head = struct.pack("!HHIIBBHHH", own, port, number, expected, offset, flags, _WINDOW, 0, 0)
        return self._answer(packet, head + options + data, 16)


def _read4(mac: Mac, payload: bytes) -> _Packet | None:
    """None for what is cut short, damaged or a fragment."""
    length, start = int.from_bytes(payload[2:4]), (payload[0] & 15) * 4
    if length > len(payload) or checksum(payload[:start]) or int.from_bytes(payload[6:8]) & 0x3FFF:
        return None
    source, target = IPv4Address(payload[12:16]), IPv4Address(payload[16:20])
    return _Packet(mac, source, target, payload[9], payload[start:length])


def _read6(mac: Mac, payload: bytes) -> _Packet | None:
    """None for what is cut short, or has further headers."""
    length, protocol = int.from_bytes(payload[4:6]), payload[6]
    if protocol not in (_TCP, _ICMP6) or 40 + length > len(payload):
        return None
    return _Packet(
        mac, IPv6Address(payload[8:24]), IPv6Address(payload[24:40]), protocol, payload[40 : 40 + length]
    )
