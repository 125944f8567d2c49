"""Numbers for rules, by which monitors count them and tell of them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

from kwhost.core.errors import ConfigError
from kwhost.core.model.statistics import CountedRule
from kwhost.core.policy.model import Layer, Policy, RateLimit, Rule

__all__ = [
    "NO_NUMBERS",
    "RULES_MAX",
    "NumberedRule",
    "Numbering",
    "count_rules",
    "describe",
    "number_rules",
    "rules_of",
]

# Numbers are below; 0 means no rule (KW_POLICY_RULES_MAX).
RULES_MAX = 8192


class NumberedRule(NamedTuple):
    """A rule as people know it; it is the same one after a reload where all of this is the same."""

    layer: str
    policy: str
    text: str


class Numbering(NamedTuple):
    """The rules of an instance by number."""

    rules: Mapping[int, NumberedRule] = MappingProxyType({})

    def numbers(self) -> dict[NumberedRule, int]:
        """The numbers of the rules."""
        return {rule: number for number, rule in self.rules.items()}


NO_NUMBERS = Numbering()


def rules_of(policy: Policy) -> Iterator[Rule | RateLimit]:
    """All of a policy, its default first."""
    yield policy.default
    yield from policy.calls
    yield from policy.files
    yield from policy.network
    yield from policy.limits


def describe(layer: str, rule: Rule | RateLimit) -> NumberedRule:
    """What a numbering calls a rule of a layer."""
    return NumberedRule(layer, rule.origin.policy, str(rule))


def number_rules(layers: Sequence[Layer], previous: Numbering = NO_NUMBERS) -> Numbering:
    """Number all rules. One that has a number keeps it, and those that are gone leave theirs unused as long
    as there are others: what is counted under a number is one rule's. Raises ConfigError for too many."""
    wanted = list(
        dict.fromkeys(describe(layer.name, rule) for layer in layers for rule in rules_of(layer.policy))
    )
    if len(wanted) >= RULES_MAX:
        raise ConfigError(f"the policies have {len(wanted)} rules together; {RULES_MAX - 1} are allowed")
    known = previous.numbers()
    current = set(wanted)
    never_used = (number for number in range(1, RULES_MAX) if number not in previous.rules)
    gone = (number for number, rule in previous.rules.items() if rule not in current)
    free = chain(never_used, gone)
    rules = dict(previous.rules)
    for rule in wanted:
        if rule not in known:
            rules[next(free)] = rule
    return Numbering(MappingProxyType(rules))


def count_rules(counts: Mapping[int, tuple[int, int]], numbering: Numbering) -> tuple[CountedRule, ...]:
    """The rules with hits and refusals, by number; most frequent first, without numbers that no rule has."""
    found = (
        CountedRule(*rule, hits, denied)
        for number, (hits, denied) in counts.items()
        if (rule := numbering.rules.get(number))
    )
    return tuple(sorted(found, key=lambda rule: (-rule.hits, rule.layer, rule.text)))
