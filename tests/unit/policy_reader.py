"""Reads a compiled policy as its header describes it, without anything of the compiler's."""

from ipaddress import IPv4Address
from typing import Any

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.destinations import Direction
from kwhost.core.policy.evaluate import AddressUse, Call, PathUse


def fnv(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def glob(pattern: bytes, text: bytes) -> bool:
    if not pattern:
        return not text
    if pattern[:3] == b"/**" and pattern[3:4] in (b"", b"/"):
        rest = pattern[3:]
        return glob(rest, text) or (
            text[:1] == b"/" and any(glob(rest, text[index:]) for index in range(1, len(text) + 1))
        )
    if pattern[:1] == b"*":
        end = text.find(b"/") if b"/" in text else len(text)
        return any(glob(pattern[1:], text[index:]) for index in range(end + 1))
    if pattern[:1] == b"?":
        return text[:1] not in (b"", b"/") and glob(pattern[1:], text[1:])
    if pattern[:1] == b"\\":
        pattern = pattern[1:]
    return text[:1] == pattern[:1] and glob(pattern[1:], text[1:])


class PolicyReader:
    """A struct kw_policy, asked as a monitor asks it."""

    def __init__(self, data: bytes) -> None:
        self._data = ffi.from_buffer("struct kw_policy *", data)
        assert self._data.magic == lib.KW_POLICY_MAGIC
        assert self._data.size == len(data)

    def _strictest(self, verdicts: list[Any]) -> tuple[int, int, int]:
        best = max(verdicts, key=lambda verdict: verdict.action, default=None)
        return (best.action, best.error, best.rule) if best is not None else (lib.KW_POLICY_ALLOW, 0, 0)

    def _layers(self) -> list[Any]:
        return [self._data.layers[index] for index in range(self._data.layer_count)]

    def call(self, call: Call) -> tuple[int, int, int]:
        """Action, error and rule for a call's arguments."""
        return self._strictest([self._call(layer.calls[CALLS[call.name]], call) for layer in self._layers()])

    def _call(self, entry: Any, call: Call) -> Any:
        for index in range(entry.first, entry.first + entry.count):
            rule = self._data.arguments[index]
            if all(self._holds(rule.conditions[i], call.arguments) for i in range(rule.count)):
                return rule.verdict
        return entry.verdict

    @staticmethod
    def _holds(condition: Any, arguments: tuple[int, ...]) -> bool:
        found = arguments[condition.argument] & condition.mask
        if condition.comparison == lib.KW_POLICY_EQUAL:
            return bool(found == condition.value)
        if condition.comparison == lib.KW_POLICY_LEAST:
            return bool(found >= condition.value)
        return bool(found <= condition.value)

    def path(self, use: PathUse) -> tuple[int, int, int]:
        """The same for a path."""
        wanted = sum(
            bit
            for letter, bit in (
                ("r", lib.KW_POLICY_READ),
                ("w", lib.KW_POLICY_WRITE),
                ("x", lib.KW_POLICY_EXECUTE),
            )
            if letter in str(use.access)
        )
        refused = [
            self._path(layer, b"" if use.path == b"/" else use.path, wanted) for layer in self._layers()
        ]
        return self._strictest([verdict for verdict in refused if verdict is not None])

    def _path(self, layer: Any, path: bytes, wanted: int) -> Any:
        rules = [self._data.paths[i] for i in range(layer.path_first, layer.path_first + layer.path_count)]
        assert [rule.hash for rule in rules] == sorted(rule.hash for rule in rules)
        prefixes = [path[:index] for index, byte in enumerate(path) if byte == ord("/")] + [path]
        for prefix in reversed(prefixes):
            for rule in rules:
                if rule.hash == fnv(prefix) and self._matches(rule, prefix, path):
                    return rule.refused if wanted & ~rule.access else None
        return layer.other_path if wanted & ~layer.other_access else None

    def _matches(self, rule: Any, prefix: bytes, path: bytes) -> bool:
        text = bytes(ffi.buffer(self._data.texts, rule.text + rule.length))[rule.text :]
        if text[: rule.literal] != prefix:
            return False
        if rule.kind == lib.KW_POLICY_EXACT:
            return path == prefix
        return rule.kind == lib.KW_POLICY_SUBTREE or glob(text[rule.literal :], path[rule.literal :])

    def address(self, use: AddressUse) -> tuple[int, int, int]:
        """The same for an address."""
        address = use.address
        bits = int(address) | (0xFFFF << 32 if isinstance(address, IPv4Address) else 0)
        if use.direction is Direction.TO and bits == 0:
            bits = 1
        if use.direction is Direction.TO and bits == 0xFFFF << 32:
            bits |= 0x7F00_0001
        return self._strictest([self._address(layer, use, bits) for layer in self._layers()])

    def _address(self, layer: Any, use: AddressUse, bits: int) -> Any:
        direction = lib.KW_POLICY_TO if use.direction is Direction.TO else lib.KW_POLICY_LISTEN
        protocol = {"tcp": 6, "udp": 17}[use.protocol.value] if use.protocol else 255
        for index in range(layer.network_first, layer.network_first + layer.network_count):
            rule = self._data.networks[index]
            prefix = int.from_bytes(bytes(rule.address), "big")
            shift = 128 - rule.prefix
            if (
                rule.direction == direction
                and prefix >> shift == bits >> shift
                and rule.protocol in (0, protocol)
                and rule.port_first <= use.port <= rule.port_last
            ):
                return rule.verdict
        return layer.other_address if use.direction is Direction.TO else layer.other_listen
