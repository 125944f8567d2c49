"""A policy as a list for readers."""

from collections.abc import Iterator
from typing import NamedTuple

from kwhost.core.policy.model import Policy, RateLimit, Rule
from kwhost.core.policy.ranking import ranked_calls, ranked_files, ranked_network

__all__ = ["ShownRule", "effective_rules"]


class ShownRule(NamedTuple):
    """A rule, the policy that has it, and its place there."""

    text: str
    policy: str
    where: str


def effective_rules(policy: Policy) -> Iterator[ShownRule]:
    """All rules that can decide, in the order in which they do: most specific first, the default last. Those
    that a policy on top says anew are left out."""
    said: set[object] = set()
    for rule in _all_ranked(policy):
        about = rule.about
        if about not in said:
            said.add(about)
            yield ShownRule(str(rule), rule.origin.policy, rule.origin.where)


def _all_ranked(policy: Policy) -> Iterator[Rule | RateLimit]:
    yield from ranked_calls(policy)
    yield from ranked_files(policy)
    yield from ranked_network(policy)
    yield from policy.limits
    yield policy.default
