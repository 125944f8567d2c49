"""How far a policy may be widened while its instance runs.

The jail around an instance is made once, from its ceiling: for calls, files and addresses each what the
policy at the start permits, or `default` does, unless the policy says `ceiling = "policy"`. Asking and
logging count as permitting. Where it cannot be told for certain that a rule stays inside, it counts as
outside.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, Protocol

from kwhost.core.model.policy import Ceiling
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.destinations import Destination, Direction
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import Access, Comparison, Condition, Layer, Policy, Rule
from kwhost.core.policy.patterns import PathPattern, parse_pattern, path_of
from kwhost.core.policy.ranking import ranked_calls, ranked_files, ranked_network

__all__ = ["Grant", "ceiling_calls", "ceiling_grants", "needs_restart", "within_ceiling"]

_EVERYWHERE = parse_pattern("/**")
# What the kernel calls files of memfd_create(2): they are in no directory, and Landlock has no say on them.
_MEMORY_FILE = b"memfd:"
_LETTERS = (Access.READ, Access.WRITE, Access.EXECUTE)


class _Region(Protocol):
    """Some of all calls, paths or destinations; both answers are certain where they are True."""

    def covers(self, other: Any, /) -> bool:
        """All of `other` is in it."""

    def excludes(self, other: Any, /) -> bool:
        """Nothing of `other` is in it."""


class _Arguments(NamedTuple):
    """The calls for which all conditions hold."""

    conditions: tuple[Condition, ...]

    def covers(self, other: "_Arguments") -> bool:
        return all(any(_implies(theirs, mine) for theirs in other.conditions) for mine in self.conditions)

    def excludes(self, other: "_Arguments") -> bool:
        return any(_contradict(mine, theirs) for mine in self.conditions for theirs in other.conditions)


class Grant(NamedTuple):
    """Access to the object at `path`, with `beneath` also to everything below it."""

    path: bytes
    beneath: bool
    access: Access


class _Entry(NamedTuple):
    """One of a list of which the first that fits decides."""

    region: _Region
    permits: bool
    rule: Rule


def _bounds(condition: Condition) -> tuple[int, int]:
    """The least and the greatest value that the bits which count may have."""
    match condition.comparison:
        case Comparison.EQUAL:
            return condition.value, condition.value
        case Comparison.AT_LEAST:
            return condition.value, condition.mask
        case Comparison.AT_MOST:
            return 0, condition.value


def _implies(given: Condition, then: Condition) -> bool:
    if given.argument != then.argument:
        return False
    if given.mask == then.mask:
        (low, high), (least, most) = _bounds(given), _bounds(then)
        return least <= low and high <= most
    known = given.comparison is Comparison.EQUAL and then.mask & ~given.mask == 0
    return known and then.holds([given.value] * (given.argument + 1))


def _contradict(one: Condition, other: Condition) -> bool:
    if one.argument != other.argument:
        return False
    if one.mask == other.mask:
        (low, high), (least, most) = _bounds(one), _bounds(other)
        return high < least or most < low
    both = one.mask & other.mask
    equal = one.comparison is Comparison.EQUAL and other.comparison is Comparison.EQUAL
    return equal and (one.value ^ other.value) & both != 0


def _call_entries(policy: Policy, call: str) -> list[_Entry]:
    entries = [
        _Entry(_Arguments(rule.conditions), rule.verdict.permits, rule) for rule in ranked_calls(policy, call)
    ]
    return [*entries, _Entry(_Arguments(()), policy.default.verdict.permits, policy.default)]


def _file_entries(policy: Policy, access: Access) -> list[_Entry]:
    entries = [_Entry(rule.pattern, access in rule.access, rule) for rule in ranked_files(policy)]
    permits = not policy.files or policy.default.verdict.permits
    return [*entries, _Entry(_EVERYWHERE, permits, policy.default)]


def _network_entries(policy: Policy, direction: Direction) -> list[_Entry]:
    entries = [
        _Entry(rule.destination, rule.verdict.permits, rule)
        for rule in ranked_network(policy)
        if rule.destination.direction is direction
    ]
    permits = not policy.network or policy.default.verdict.permits
    return [*entries, _Entry(Destination(direction=direction), permits, policy.default)]


def _lists(policy: Policy) -> Iterator[list[_Entry]]:
    """All lists of a policy, in the same order for each policy."""
    for call in CALLS:
        yield _call_entries(policy, call)
    for access in _LETTERS:
        yield _file_entries(policy, access)
    for direction in Direction:
        yield _network_entries(policy, direction)


def _is_granted(entry: _Entry, before: list[_Entry], ceiling: list[_Entry]) -> bool:
    """A list permits all that an entry decides; what those `before` cover is not the entry's to decide."""
    for other in ceiling:
        if other.permits:
            if other.region.covers(entry.region):
                return True
        elif not other.region.excludes(entry.region) and not _is_covered(other, before):
            return False
    return False


def _is_covered(entry: _Entry, before: list[_Entry]) -> bool:
    return any(earlier.region.covers(entry.region) for earlier in before)


def _permitting(entries: list[_Entry]) -> Iterator[tuple[_Entry, list[_Entry]]]:
    """The entries that permit something, each with those before it."""
    for index, entry in enumerate(entries):
        before = entries[:index]
        if entry.permits and not _is_covered(entry, before):
            yield entry, before


def _outside(entries: list[_Entry], ceilings: list[list[_Entry]]) -> Iterator[Rule]:
    """The rules of a list that permit what no ceiling's list does."""
    for entry, before in _permitting(entries):
        if not any(_is_granted(entry, before, ceiling) for ceiling in ceilings):
            yield entry.rule


def _ceilings(policy: Policy) -> list[Policy]:
    return [policy] if policy.ceiling is Ceiling.POLICY else [policy, built_in().find("default")]


def within_ceiling(old: Policy, new: Policy) -> tuple[Rule, ...]:
    """The rules of `new` that reach beyond the ceiling of `old`, with which the instance was started; none:
    the change may be made while it runs."""
    outside: dict[int, Rule] = {}
    ceilings = [_lists(policy) for policy in _ceilings(old)]
    for entries, *limits in zip(_lists(new), *ceilings, strict=True):
        for rule in _outside(entries, limits):
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
        for entry, _ in _permitting(_file_entries(each, letter)):
            pattern = entry.region
            assert isinstance(pattern, PathPattern)
            if pattern.components[:1] and pattern.components[0].startswith(_MEMORY_FILE):
                continue
            place = (path_of(pattern.literal_components), not pattern.is_literal)
            found[place] = found.get(place, Access.NONE) | letter
    return tuple(Grant(*place, access) for place, access in found.items())


def _may_permit(policy: Policy, call: str) -> bool:
    return any(True for _ in _permitting(_call_entries(policy, call)))
