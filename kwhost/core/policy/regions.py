"""Rules as regions: which of all calls, paths or destinations they decide.

A policy says something about a call by a list of entries, of which the first that fits decides. Lists are
compared without trying every call; where an answer is not certain, it is the careful one.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from kwhost.core.policy.model import Comparison, Condition, Rule

__all__ = ["Arguments", "Entry", "Region", "is_covered", "marked", "rules_outside"]


class Region(Protocol):
    """Some of all calls, paths or destinations; both answers are certain where they are True."""

    def covers(self, other: Any, /) -> bool:
        """All of `other` is in it."""

    def excludes(self, other: Any, /) -> bool:
        """Nothing of `other` is in it."""


class Arguments(NamedTuple):
    """The calls for which all conditions hold."""

    conditions: tuple[Condition, ...]

    def covers(self, other: "Arguments") -> bool:
        """See Region."""
        return all(any(_implies(theirs, mine) for theirs in other.conditions) for mine in self.conditions)

    def excludes(self, other: "Arguments") -> bool:
        """See Region."""
        return any(_contradict(mine, theirs) for mine in self.conditions for theirs in other.conditions)


class Entry(NamedTuple):
    """One of a list of which the first that fits decides; `mark` is what is asked about its rule: that it
    permits, for instance."""

    region: Region
    mark: bool
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


def is_covered(entry: Entry, before: Iterable[Entry]) -> bool:
    """Earlier entries decide all of it."""
    return any(earlier.region.covers(entry.region) for earlier in before)


def marked(entries: list[Entry]) -> Iterator[tuple[Entry, list[Entry]]]:
    """The entries that have the mark and decide something, each with those before it."""
    for index, entry in enumerate(entries):
        before = entries[:index]
        if entry.mark and not is_covered(entry, before):
            yield entry, before


def _is_marked(entry: Entry, before: list[Entry], limit: list[Entry]) -> bool:
    """By another list all that an entry decides has the mark; what those `before` cover is not its to
    decide."""
    for other in limit:
        if other.mark:
            if other.region.covers(entry.region):
                return True
        elif not other.region.excludes(entry.region) and not is_covered(other, before):
            return False
    return False


def rules_outside(entries: list[Entry], limits: Iterable[list[Entry]]) -> Iterator[Rule]:
    """The rules that give the mark to what has it by none of the other lists."""
    lists = list(limits)
    for entry, before in marked(entries):
        if not any(_is_marked(entry, before, limit) for limit in lists):
            yield entry.rule
