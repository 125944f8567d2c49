"""Policies made by hand, as the monitors read them (struct kw_policy): without the compiler."""

import ipaddress
from collections.abc import Sequence
from typing import Any

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.call_names import call_name

__all__ = ["EXECUTE", "READ", "WRITE", "ByHand", "number_of"]

READ, WRITE, EXECUTE = lib.KW_POLICY_READ, lib.KW_POLICY_WRITE, lib.KW_POLICY_EXECUTE
_ALL = READ | WRITE | EXECUTE
_NUMBERS = {call_name(number): number for number in range(lib.KW_CALL_LIMIT)}
Verdict = tuple[str, int, int]  # action, errno, rule


def number_of(call: str) -> int:
    """A system call's number."""
    return _NUMBERS[call]


def _hash(literal: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in literal:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


class ByHand:
    """One layer that allows everything but what is added."""

    def __init__(self) -> None:
        self._policy = ffi.new("struct kw_policy *")
        self._layer = self._policy.layers[0]
        self._layer.other_access = _ALL
        self._paths: list[tuple[int, str, int, Verdict]] = []

    def call(self, name: str, action: str, errno: int = 0, rule: int = 1) -> "ByHand":
        """What is to become of a call."""
        _set(self._layer.calls[number_of(name)].verdict, (action, errno, rule))
        return self

    def argument(self, name: str, index: int, value: int, verdict: Verdict) -> "ByHand":
        """Where 32 bits of an argument have a value. The rules of one call are added one after another."""
        call, count = self._layer.calls[number_of(name)], self._policy.argument_count
        if not call.count:
            call.first = count
        rule = self._policy.arguments[count]
        _set(rule.verdict, verdict)
        rule.count = 1
        rule.conditions[0].argument, rule.conditions[0].mask = index, 0xFFFFFFFF
        rule.conditions[0].value = value
        call.count, self._policy.argument_count = call.count + 1, count + 1
        return self

    def other_paths(self, access: int, verdict: Verdict) -> "ByHand":
        """Where no rule about paths matches."""
        self._layer.other_access = access
        _set(self._layer.other_path, verdict)
        return self

    def path(self, pattern: str, access: int, verdict: Verdict = ("ERRNO", 13, 2)) -> "ByHand":
        """What is granted of a path; the verdict on more."""
        literal = pattern.removesuffix("/**") if "*" not in pattern.removesuffix("/**") else None
        if literal is None:
            literal = pattern[: pattern.index("*")].rpartition("/")[0]
        self._paths.append((_hash(literal.encode()), pattern, access, verdict))
        return self

    def network(
        self, direction: str, to: str, ports: tuple[int, int], verdict: Verdict, protocol: int = 0
    ) -> "ByHand":
        """What is to become of an address; longest prefixes of one direction are added first."""
        network = ipaddress.ip_network(to)
        rule = self._policy.networks[self._policy.network_count]
        packed = network.network_address.packed
        if network.version == 4:
            packed = bytes(10) + b"\xff\xff" + packed
        rule.address = list(packed)
        rule.prefix = network.prefixlen + (96 if network.version == 4 else 0)
        rule.direction = getattr(lib, f"KW_POLICY_{direction}")
        rule.protocol = protocol
        rule.port_first, rule.port_last = ports
        _set(rule.verdict, verdict)
        self._policy.network_count += 1
        self._layer.network_count = self._policy.network_count
        return self

    def other_addresses(self, verdict: Verdict, listen: Verdict) -> "ByHand":
        """Where no rule about addresses matches."""
        _set(self._layer.other_address, verdict)
        _set(self._layer.other_listen, listen)
        return self

    def rate(self, names: Sequence[str], interval_ns: int, burst: int, verdict: Verdict) -> "ByHand":
        """How often calls may be made together."""
        rate = self._policy.rates[self._policy.rate_count]
        _set(rate.verdict, verdict)
        rate.interval_ns, rate.burst = interval_ns, burst
        for name in names:
            rate.calls[number_of(name) // 64] |= 1 << number_of(name) % 64
        self._policy.rate_count += 1
        return self

    def timeout(self, milliseconds: int) -> "ByHand":
        """How long a question is open."""
        self._policy.ask_timeout_ms = milliseconds
        return self

    def compiled(self) -> bytes:
        """What supervise gets."""
        policy = self._policy
        policy.magic, policy.version = lib.KW_POLICY_MAGIC, lib.KW_POLICY_VERSION
        policy.size, policy.layer_count = ffi.sizeof("struct kw_policy"), 1
        policy.path_count = self._layer.path_count = len(self._paths)
        policy.text_size = 0
        for rule, (hashed, pattern, access, verdict) in zip(
            policy.paths, sorted(self._paths, key=lambda path: path[0]), strict=False
        ):
            text = pattern.removesuffix("/**").encode()
            kind = lib.KW_POLICY_SUBTREE if pattern.endswith("/**") else lib.KW_POLICY_EXACT
            literal = len(text)
            if b"*" in text:
                text, kind, literal = (
                    pattern.encode(),
                    lib.KW_POLICY_GLOB,
                    pattern[: pattern.index("*")].rindex("/"),
                )
            rule.hash, rule.text, rule.length = hashed, policy.text_size, len(text)
            rule.literal, rule.kind, rule.access = literal, kind, access
            _set(rule.refused, verdict)
            for index, byte in enumerate(text):
                policy.texts[policy.text_size + index] = bytes([byte])
            policy.text_size += len(text)
        return bytes(ffi.buffer(policy))


def _set(place: Any, verdict: Verdict) -> None:  # of cffi
    place.action, place.error, place.rule = getattr(lib, f"KW_POLICY_{verdict[0]}"), verdict[1], verdict[2]
