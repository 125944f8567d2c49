"""How far a policy may be widened while its instance runs.

The jail around an instance is made once, from its ceiling: for calls, files and addresses each what the
policy at the start permits, or `default` does, unless the policy says `ceiling = "policy"`. Asking and
logging count as permitting. Where it cannot be told for certain that a rule stays inside, it counts as
outside.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from kwhost.core.model.policy import Ceiling
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.destinations import Destination, Direction
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import Access, Layer, Policy, Rule
from kwhost.core.policy.patterns import PathPattern, parse_pattern, path_of
from kwhost.core.policy.ranking import ranked_calls, ranked_files, ranked_network
from kwhost.core.policy.regions import Arguments, Entry, marked, rules_outside

__all__ = [
    "MEMORY_FILE",
    "Grant",
    "ceiling_calls",
    "ceiling_grants",
    "file_entries",
    "needs_restart",
    "within_ceiling",
]

_EVERYWHERE = parse_pattern("/**")
# What the kernel calls files of memfd_create(2): they are in no directory, and Landlock has no say on them.
MEMORY_FILE = b"memfd:"
_LETTERS = (Access.READ, Access.WRITE, Access.EXECUTE)


class Grant(NamedTuple):
    """Access to the object at `path`, with `beneath` also to everything below it."""

    path: bytes
    beneath: bool
    access: Access


def _call_entries(policy: Policy, call: str) -> list[Entry]:
    entries = [
        Entry(Arguments(rule.conditions), rule.verdict.permits, rule) for rule in ranked_calls(policy, call)
    ]
    return [*entries, Entry(Arguments(()), policy.default.verdict.permits, policy.default)]


def file_entries(policy: Policy, access: Access) -> list[Entry]:
    """What decides about this access to files, in order."""
    entries = [Entry(rule.pattern, access in rule.access, rule) for rule in ranked_files(policy)]
    permits = not policy.files or policy.default.verdict.permits
    return [*entries, Entry(_EVERYWHERE, permits, policy.default)]


def _network_entries(policy: Policy, direction: Direction) -> list[Entry]:
    entries = [
        Entry(rule.destination, rule.verdict.permits, rule)
        for rule in ranked_network(policy)
        if rule.destination.direction is direction
    ]
    permits = not policy.network or policy.default.verdict.permits
    return [*entries, Entry(Destination(direction=direction), permits, policy.default)]


def _lists(policy: Policy) -> Iterator[list[Entry]]:
    """All lists of a policy, in the same order for each policy."""
    for call in CALLS:
        yield _call_entries(policy, call)
    for access in _LETTERS:
        yield file_entries(policy, access)
    for direction in Direction:
        yield _network_entries(policy, direction)


def _ceilings(policy: Policy) -> list[Policy]:
    return [policy] if policy.ceiling is Ceiling.POLICY else [policy, built_in().find("default")]


def within_ceiling(old: Policy, new: Policy) -> tuple[Rule, ...]:
    """The rules of `new` that reach beyond the ceiling of `old`, with which the instance was started; none:
    the change may be made while it runs."""
    outside: dict[int, Rule] = {}
    ceilings = [_lists(policy) for policy in _ceilings(old)]
    for entries, *limits in zip(_lists(new), *ceilings, strict=True):
        for rule in rules_outside(entries, limits):
            outside.setdefault(id(rule), rule)
    return tuple(outside.values())


def needs_restart(old: Sequence[Layer], new: Sequence[Layer]) -> tuple[str, ...]:
    """Why a change of layers needs a restart, a line for each rule; none: it may be made at once.

    A layer may go, or change as it likes, where another one of the new ones stays below its ceiling.
    """
    lines: list[str] = []
    for layer in old:
        outside = {other.name: within_ceiling(layer.policy, other.policy) for other in new}
        if () in outside.values():
            continue
        if layer.name not in outside:
            lines.append(f"needs a restart: the layer {layer.name} is gone")
        lines += [
            f"needs a restart: {rule.origin.where}: {rule} is beyond the ceiling of {layer.name}"
            for rule in outside.get(layer.name, ())
        ]
    return tuple(lines)


def ceiling_calls(layers: Sequence[Layer]) -> frozenset[str]:
    """The calls that the layers may ever permit, with some arguments at least."""
    calls = set(CALLS)
    for layer in layers:
        policies = _ceilings(layer.policy)
        calls = {call for call in calls if any(_may_permit(policy, call) for policy in policies)}
    return frozenset(calls)


def ceiling_grants(policy: Policy) -> tuple[Grant, ...]:
    """What a policy's ceiling may ever permit on files, at least: wildcards count as everything below. An
    instance may do what the grants of each of its layers have in common."""
    found: dict[tuple[bytes, bool], Access] = {}
    for each, letter in product(_ceilings(policy), _LETTERS):
        for entry, _ in marked(file_entries(each, letter)):
            pattern = entry.region
            assert isinstance(pattern, PathPattern)
            if pattern.components[:1] and pattern.components[0].startswith(MEMORY_FILE):
                continue
            place = (path_of(pattern.literal_components), not pattern.is_literal)
            found[place] = found.get(place, Access.NONE) | letter
    return tuple(Grant(*place, access) for place, access in found.items())


def _may_permit(policy: Policy, call: str) -> bool:
    return any(True for _ in marked(_call_entries(policy, call)))
