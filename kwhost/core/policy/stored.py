"""The policies of a run as they are kept beside it: a new daemon can name its rules and knows its ceiling."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from kwhost.core.errors import StoreError
from kwhost.core.model.policy import Ceiling
from kwhost.core.policy.destinations import Destination, Direction, PortRange, Protocol
from kwhost.core.policy.model import (
    CallRule,
    DefaultRule,
    FileRule,
    Layer,
    NetworkRule,
    Origin,
    Policy,
    RateLimit,
    Verdict,
)
from kwhost.core.policy.numbering import NO_NUMBERS, NumberedRule, Numbering

__all__ = ["NO_POLICIES", "RunPolicies", "decode_policies", "encode_policies"]


class RunPolicies(NamedTuple):
    """Of one run: the layers that it was started with, by which its ceiling goes, those that are in force,
    and the numbers of all rules that ever were."""

    started: tuple[Layer, ...]
    layers: tuple[Layer, ...]
    numbering: Numbering


NO_POLICIES = RunPolicies((), (), NO_NUMBERS)


class _StoredDestination(NamedTuple):
    """A rule on the network; the prefix as text, since there are two kinds of it."""

    direction: Direction
    prefix: str | None
    ports: tuple[PortRange, ...]
    protocol: Protocol | None
    verdict: Verdict
    origin: Origin


class _StoredLayer(NamedTuple):
    """A layer's name, and the fields of its policy."""

    layer: str
    name: str
    default: DefaultRule
    ceiling: Ceiling
    ask_timeout: float
    calls: tuple[CallRule, ...]
    files: tuple[FileRule, ...]
    network: tuple[_StoredDestination, ...]
    limits: tuple[RateLimit, ...]
    generations: int


class _Stored(NamedTuple):
    started: tuple[_StoredLayer, ...]
    layers: tuple[_StoredLayer, ...]
    rules: dict[int, NumberedRule]


def encode_policies(policies: RunPolicies) -> bytes:
    """For decode_policies."""
    stored = _Stored(_store(policies.started), _store(policies.layers), dict(policies.numbering.rules))
    return msgspec.json.encode(stored)


def decode_policies(data: bytes) -> RunPolicies:
    """What was kept. Raises StoreError where another version wrote it."""
    try:
        stored = msgspec.json.decode(data, type=_Stored)
        return RunPolicies(_load(stored.started), _load(stored.layers), _numbering(stored.rules))
    except ValueError as error:  # of msgspec and of ipaddress
        raise StoreError(f"its policies cannot be read: {error}") from error


def _numbering(rules: Mapping[int, NumberedRule]) -> Numbering:
    return Numbering(MappingProxyType(dict(rules)))


# The fields that are kept as they are.
_FIELDS = ("name", "default", "ceiling", "ask_timeout", "calls", "files", "limits", "generations")


def _store(layers: Sequence[Layer]) -> tuple[_StoredLayer, ...]:
    return tuple(
        _StoredLayer(
            layer=layer.name,
            network=tuple(map(_store_destination, layer.policy.network)),
            **{field: getattr(layer.policy, field) for field in _FIELDS},
        )
        for layer in layers
    )


def _store_destination(rule: NetworkRule) -> _StoredDestination:
    to = rule.destination
    prefix = None if to.prefix is None else str(to.prefix)
    return _StoredDestination(to.direction, prefix, to.ports, to.protocol, rule.verdict, rule.origin)


def _load(layers: Sequence[_StoredLayer]) -> tuple[Layer, ...]:
    return tuple(
        Layer(
            stored.layer,
            Policy(
                network=tuple(map(_load_destination, stored.network)),
                **{field: getattr(stored, field) for field in _FIELDS},
            ),
        )
        for stored in layers
    )


def _load_destination(stored: _StoredDestination) -> NetworkRule:
    return NetworkRule(
        destination=Destination(
            direction=stored.direction,
            prefix=None if stored.prefix is None else ip_network(stored.prefix),
            ports=stored.ports,
            protocol=stored.protocol,
        ),
        verdict=stored.verdict,
        origin=stored.origin,
    )
