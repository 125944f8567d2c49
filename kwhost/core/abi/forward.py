"""Requests to the forwarder of published ports and its answers (struct kw_forward_message)."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.model.network import Address, Transport

__all__ = [
    "ANSWER_SIZE",
    "DESTINATIONS_MAX",
    "NAME_MAX",
    "VERSION",
    "Answer",
    "CountsRecord",
    "TargetRecord",
    "add_port",
    "ask_hello",
    "ask_port",
    "ask_target",
    "ask_to_stop",
    "ask_to_watch",
    "put_target",
    "remove_port",
    "remove_target",
    "set_ends",
]

VERSION: int = lib.KW_FORWARD_VERSION
# Later versions may have longer messages; their beginning stays the same.
ANSWER_SIZE: int = 4 * ffi.sizeof("struct kw_forward_message")
NAME_MAX: int = lib.KW_FORWARD_NAME_MAX - 1
DESTINATIONS_MAX: int = lib.KW_FORWARD_ENDS_MAX

_SIZE: int = ffi.sizeof("struct kw_forward_message")
_PREFIX: int = ffi.offsetof("struct kw_forward_message", "port")
_TRANSPORTS = {Transport.TCP: lib.KW_FORWARD_TCP, Transport.UDP: lib.KW_FORWARD_UDP}
_NUMBERS = {number: transport for transport, number in _TRANSPORTS.items()}


class TargetRecord(NamedTuple):
    """A target as the forwarder knows it; `namespace` is the device and inode of its namespace."""

    name: str
    namespace: tuple[int, int]
    alive: bool


class CountsRecord(NamedTuple):
    """What passed through a target's relay so far; the fields of struct kw_forward_counts."""

    connections: int
    failures: int
    bytes_in: int
    bytes_out: int
    sessions: int
    datagrams_in: int
    datagrams_out: int
    dropped: int
    open_connections: int
    open_sessions: int


class Answer:
    """An answer, read field by field as its request wants."""

    def __init__(self, data: bytes) -> None:
        """Raises ValueError for what no version of the forwarder says."""
        if len(data) < _PREFIX:
            raise ValueError("an answer that is too short")
        self._message = ffi.new("struct kw_forward_message *")
        ffi.memmove(self._message, data, min(len(data), _SIZE))
        if self._message.magic != lib.KW_FORWARD_MAGIC:
            raise ValueError("an answer of something else")
        self.version: int = self._message.version
        self.type: int = self._message.type
        self.error: int = self._message.error
        self.index: int = self._message.index
        self.count: int = self._message.count

    def port(self) -> tuple[Transport, Address, int]:
        """The port that it is about."""
        port = self._message.port
        raw = bytes(port.address)
        address = IPv4Address(raw[:4]) if port.family == 4 else IPv6Address(raw)
        return _NUMBERS[port.transport], address, port.number

    def ends(self) -> list[tuple[str, int]]:
        """Where that port leads to: names of targets and ports."""
        ends = self._message.ends
        return [(_text(ends[at].target), ends[at].port) for at in range(min(self.count, DESTINATIONS_MAX))]

    def target(self) -> TargetRecord:
        """The target that it is about."""
        target = self._message.target
        namespace = target.namespace_device, target.namespace_inode
        return TargetRecord(_text(target.name), namespace, bool(target.alive))

    def counts(self) -> CountsRecord:
        """What passed through that target's relay."""
        return CountsRecord(*(getattr(self._message.counts, name) for name in CountsRecord._fields))


def ask_hello() -> bytes:
    """Ask for the version and how many connections are open."""
    return _encode(_new(lib.KW_FORWARD_HELLO))


def ask_to_stop() -> bytes:
    """End the forwarder and all its connections."""
    return _encode(_new(lib.KW_FORWARD_STOP))


def ask_to_watch() -> bytes:
    """Have an answer as soon as a target's relay has ended by itself."""
    return _encode(_new(lib.KW_FORWARD_WATCH))


def ask_port(index: int) -> bytes:
    """Ask for the first port at `index` or behind."""
    return _encode(_new(lib.KW_FORWARD_LIST, index))


def ask_target(index: int) -> bytes:
    """Ask for the first target at `index` or behind, and its counts."""
    return _encode(_new(lib.KW_FORWARD_COUNTS, index))


def add_port(transport: Transport, address: Address, number: int, ends: Sequence[tuple[str, int]]) -> bytes:
    """Serve a port, whose listening (UDP: bound) socket goes along, and lead it as set_ends does."""
    return _encode(_led(lib.KW_FORWARD_ADD, transport, address, number, ends))


def remove_port(transport: Transport, address: Address, number: int) -> bytes:
    """Serve a port no more."""
    return _encode(_port(lib.KW_FORWARD_REMOVE_PORT, transport, address, number))


def set_ends(transport: Transport, address: Address, number: int, ends: Sequence[tuple[str, int]]) -> bytes:
    """Lead a port to these, which are names of targets with ports; at most DESTINATIONS_MAX."""
    return _encode(_led(lib.KW_FORWARD_TARGETS, transport, address, number, ends))


def put_target(
    name: str, uid: int, gid: int, address4: IPv4Address | None, address6: IPv6Address | None
) -> bytes:
    """Relay to a target whose network namespace goes along, and perhaps a pidfd."""
    message = _new(lib.KW_FORWARD_NAMESPACE)
    target = message.target
    target.name, target.uid, target.gid = _name(name), uid, gid
    target.address4 = list(address4.packed if address4 else bytes(4))
    target.address6 = list(address6.packed if address6 else bytes(16))
    return _encode(message)


def remove_target(name: str) -> bytes:
    """End a target's relay and its connections."""
    message = _new(lib.KW_FORWARD_REMOVE_TARGET)
    message.target.name = _name(name)
    return _encode(message)


def _new(kind: int, index: int = 0) -> Any:
    message = ffi.new("struct kw_forward_message *")
    message.magic, message.version = lib.KW_FORWARD_MAGIC, VERSION
    message.type, message.index = kind, index
    return message


def _port(kind: int, transport: Transport, address: Address, number: int) -> Any:
    message = _new(kind)
    message.port.transport, message.port.family = _TRANSPORTS[transport], address.version
    message.port.number = number
    message.port.address = list(address.packed.ljust(16, b"\0"))
    return message


def _led(
    kind: int, transport: Transport, address: Address, number: int, ends: Sequence[tuple[str, int]]
) -> Any:
    message = _port(kind, transport, address, number)
    message.count = len(ends)
    for at, (name, port) in enumerate(ends):
        message.ends[at].target, message.ends[at].port = _name(name), port
    return message


def _encode(message: Any) -> bytes:
    return bytes(ffi.buffer(message))


def _name(name: str) -> bytes:
    encoded = name.encode()
    if not 0 < len(encoded) <= NAME_MAX or b"\0" in encoded:
        raise ValueError(f"{name!r} is no name of a target")
    return encoded


def _text(field: Any) -> str:
    return str(ffi.string(field).decode("utf-8", "replace"))
