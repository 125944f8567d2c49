"""From layers to the table that monitors evaluate (kwhost/monitor/abi/kw_policy.h)."""

import errno
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Any, NamedTuple

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.errors import ConfigError
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.destinations import Direction, PortRange, Protocol
from kwhost.core.policy.model import (
    ALLOW,
    NO_ACCESS,
    Access,
    Action,
    CallRule,
    Comparison,
    DefaultRule,
    FileRule,
    Layer,
    NetworkRule,
    Policy,
    RateLimit,
    Rule,
    Verdict,
)
from kwhost.core.policy.numbering import NO_NUMBERS, Numbering, describe, number_rules
from kwhost.core.policy.patterns import PathPattern
from kwhost.core.policy.ranking import grants_everything, ranked_calls, ranked_files, ranked_network

__all__ = ["Compiled", "compile_layers"]

_FULL_ACCESS = Access.READ | Access.WRITE | Access.EXECUTE
_ACTIONS = {action: getattr(lib, f"KW_POLICY_{action.name}") for action in Action}
_COMPARISONS = {
    Comparison.EQUAL: lib.KW_POLICY_EQUAL,
    Comparison.AT_LEAST: lib.KW_POLICY_LEAST,
    Comparison.AT_MOST: lib.KW_POLICY_MOST,
}
_ACCESSES = {
    Access.READ: lib.KW_POLICY_READ,
    Access.WRITE: lib.KW_POLICY_WRITE,
    Access.EXECUTE: lib.KW_POLICY_EXECUTE,
}
_DIRECTIONS = {Direction.TO: lib.KW_POLICY_TO, Direction.LISTEN: lib.KW_POLICY_LISTEN}
_PROTOCOLS = {None: 0, Protocol.TCP: 6, Protocol.UDP: 17}
_ANY_PORT = PortRange(0, 65_535)
_IPV4_BITS = 96
_IPV4_MAPPED = 0xFFFF << 32
_OVER_RATE = Verdict(Action.ERRNO, errno.EAGAIN)


class Compiled(NamedTuple):
    """The bytes of a struct kw_policy, and which rule each number in it is."""

    data: bytes
    numbering: Numbering


def compile_layers(layers: Sequence[Layer], previous: Numbering = NO_NUMBERS) -> Compiled:
    """Compile, with the numbers that rules had before. Raises ConfigError for more than a table holds."""
    if len(layers) > lib.KW_POLICY_LAYERS_MAX:
        raise ConfigError(
            f"there are {len(layers)} policies for one instance; {lib.KW_POLICY_LAYERS_MAX} are allowed"
        )
    numbering = number_rules(layers, previous)
    writer = _Writer(numbering)
    for layer in layers:
        writer.add_layer(layer)
    writer.set_ask_timeout(layers)
    return Compiled(writer.data(), numbering)


def access_bits(access: Access) -> int:
    """An access as the table has it."""
    return sum(bit for letter, bit in _ACCESSES.items() if letter in access)


class _Writer:
    """A table that grows by layers."""

    def __init__(self, numbering: Numbering) -> None:
        self._numbers = numbering.numbers()
        self._table = ffi.new("struct kw_policy *")
        self._table.magic = lib.KW_POLICY_MAGIC
        self._table.version = lib.KW_POLICY_VERSION
        self._table.size = ffi.sizeof("struct kw_policy")
        self._layer = ""

    def data(self) -> bytes:
        """The table so far."""
        return bytes(ffi.buffer(self._table))

    def add_layer(self, layer: Layer) -> None:
        """Write a layer behind those before."""
        self._layer = layer.name
        entry = self._table.layers[self._table.layer_count]
        self._table.layer_count += 1
        policy = layer.policy
        for call, number in CALLS.items():
            self._add_call(entry.calls[number], ranked_calls(policy, call), policy)
        for number in set(range(lib.KW_CALL_LIMIT)) - set(CALLS.values()):
            self._set_verdict(entry.calls[number].verdict, policy.default.verdict, policy.default)
        self._set_verdict(entry.unknown, policy.default.verdict, policy.default)
        self._add_files(entry, policy)
        self._add_network(entry, policy)
        for limit in policy.limits:
            self._add_rate(limit)

    def set_ask_timeout(self, layers: Sequence[Layer]) -> None:
        """The shortest of the layers that ask; without any it does not matter."""
        asking = [layer.policy.ask_timeout for layer in layers if _asks(layer.policy)]
        self._table.ask_timeout_ms = round(min(asking) * 1000) if asking else 0

    def _set_verdict(self, to: Any, verdict: Verdict, rule: Rule | RateLimit) -> None:
        to.action, to.error = _ACTIONS[verdict.action], verdict.errno
        to.rule = self._numbers[describe(self._layer, rule)]

    def _take(self, count: str, maximum: int, what: str) -> int:
        """The next free place in one of the table's arrays."""
        index: int = getattr(self._table, count)
        if index >= maximum:
            raise ConfigError(f"the policies of the instance have more than {maximum} {what} together")
        setattr(self._table, count, index + 1)
        return index

    def _add_call(self, entry: Any, rules: list[CallRule], policy: Policy) -> None:
        entry.first = self._table.argument_count
        for rule in rules:
            if not rule.conditions:
                self._set_verdict(entry.verdict, rule.verdict, rule)
                return
            self._add_arguments(rule)
            entry.count += 1
        self._set_verdict(entry.verdict, policy.default.verdict, policy.default)

    def _add_arguments(self, rule: CallRule) -> None:
        index = self._take("argument_count", lib.KW_POLICY_ARGUMENTS_MAX, "rules on arguments")
        entry = self._table.arguments[index]
        self._set_verdict(entry.verdict, rule.verdict, rule)
        entry.count = len(rule.conditions)
        for to, condition in zip(entry.conditions, rule.conditions, strict=False):
            to.argument, to.comparison = condition.argument, _COMPARISONS[condition.comparison]
            to.mask, to.value = condition.mask, condition.value

    def _add_files(self, entry: Any, policy: Policy) -> None:
        entry.path_first = self._table.path_count
        entry.other_access = access_bits(_FULL_ACCESS)
        rules = ranked_files(policy)
        if grants_everything(rules):
            self._set_verdict(entry.other_path, ALLOW, policy.default)
            return
        if policy.default.verdict != ALLOW:
            entry.other_access = 0
        self._set_verdict(entry.other_path, policy.default.on_objects, policy.default)
        for rule in sorted(rules, key=lambda rule: literal_hash(rule.pattern)):
            self._add_path(rule)
        entry.path_count = len(rules)

    def _add_path(self, rule: FileRule) -> None:
        entry = self._table.paths[self._take("path_count", lib.KW_POLICY_PATHS_MAX, "rules on files")]
        text = _pattern_text(rule.pattern)
        entry.text, entry.length = self._table.text_size, len(text)
        if entry.text + len(text) > lib.KW_POLICY_TEXTS_MAX:
            raise ConfigError(
                f"the paths of the policies have more than {lib.KW_POLICY_TEXTS_MAX} bytes together"
            )
        ffi.memmove(ffi.addressof(self._table, "texts", entry.text), text, len(text))
        self._table.text_size += len(text)
        entry.hash = literal_hash(rule.pattern)
        entry.literal = len(_literal(rule.pattern))
        entry.kind = _pattern_kind(rule.pattern)
        entry.access = access_bits(rule.access)
        self._set_verdict(entry.refused, NO_ACCESS, rule)

    def _add_network(self, entry: Any, policy: Policy) -> None:
        entry.network_first = self._table.network_count
        other = policy.default.on_objects if policy.network else ALLOW
        self._set_verdict(entry.other_address, other, policy.default)
        self._set_verdict(entry.other_listen, other, policy.default)
        for rule in sorted(ranked_network(policy), key=_network_order):
            for ports in rule.destination.ports or (_ANY_PORT,):
                self._add_destination(rule, ports)
        entry.network_count = self._table.network_count - entry.network_first

    def _add_destination(self, rule: NetworkRule, ports: PortRange) -> None:
        index = self._take("network_count", lib.KW_POLICY_NETWORKS_MAX, "rules on addresses and ports")
        entry = self._table.networks[index]
        direction, length, address = _network_order(rule)
        entry.direction, entry.prefix = direction, -length
        ffi.memmove(entry.address, address, len(address))
        entry.protocol = _PROTOCOLS[rule.destination.protocol]
        entry.port_first, entry.port_last = ports
        self._set_verdict(entry.verdict, rule.verdict, rule)

    def _add_rate(self, limit: RateLimit) -> None:
        entry = self._table.rates[self._take("rate_count", lib.KW_POLICY_RATES_MAX, "limits")]
        self._set_verdict(entry.verdict, _OVER_RATE, limit)
        entry.interval_ns = max(1, limit.period_ms * 1_000_000 // limit.count)
        entry.burst = limit.count
        for call in limit.calls:
            entry.calls[CALLS[call] // 64] |= 1 << CALLS[call] % 64


def _asks(policy: Policy) -> bool:
    rules: list[DefaultRule | CallRule | NetworkRule] = [policy.default, *policy.calls, *policy.network]
    return any(rule.verdict.action is Action.ASK for rule in rules)


def literal_hash(pattern: PathPattern) -> int:
    """FNV-1a, of 64 bits, of what begins each path."""
    value = 0xCBF2_9CE4_8422_2325
    for byte in _literal(pattern):
        value = (value ^ byte) * 0x100_0000_01B3 & 0xFFFF_FFFF_FFFF_FFFF
    return value


def _literal(pattern: PathPattern) -> bytes:
    return b"".join(b"/" + component for component in pattern.literal_components)


def _pattern_text(pattern: PathPattern) -> bytes:
    rest = () if pattern.is_subtree else pattern.components[len(pattern.literal_components) :]
    return _literal(pattern) + b"".join(b"/" + component for component in rest)


def _pattern_kind(pattern: PathPattern) -> int:
    if pattern.is_literal:
        return int(lib.KW_POLICY_EXACT)
    return int(lib.KW_POLICY_SUBTREE if pattern.is_subtree else lib.KW_POLICY_GLOB)


def _network_order(rule: NetworkRule) -> tuple[int, int, bytes]:
    """Direction, prefix length (negative: the longest first) and address, as among IPv6 addresses."""
    direction = _DIRECTIONS[rule.destination.direction]
    prefix = rule.destination.prefix
    if prefix is None:
        return direction, 0, bytes(16)
    if prefix.version == 6:
        return direction, -prefix.prefixlen, prefix.network_address.packed
    address = IPv6Address(_IPV4_MAPPED | int(prefix.network_address))
    return direction, -(prefix.prefixlen + _IPV4_BITS), address.packed
