"""A policy as a list for readers."""

from collections.abc import Iterator
from typing import NamedTuple

from kwhost.core.policy.model import CallRule, Policy, RateLimit, Rule
from kwhost.core.policy.ranking import ranked_calls, ranked_files, ranked_network

__all__ = ["ShownRule", "effective_rules"]


class ShownRule(NamedTuple):
    """A rule, the policy that has it, and its place there; `call` is the one call that it is on, if any."""

    text: str
    policy: str
    where: str
    call: str | None


def effective_rules(policy: Policy) -> Iterator[ShownRule]:
    """All rules that can decide, in the order in which they do: most specific first, the default last. Those
    that a policy on top says anew are left out."""
    said: set[object] = set()
    for rule in _all_ranked(policy):
        about = rule.about
        if about not in said:
            said.add(about)
            call = rule.name if isinstance(rule, CallRule) and rule.specificity else None
            yield ShownRule(str(rule), rule.origin.policy, rule.origin.where, call)


def _all_ranked(policy: Policy) -> Iterator[Rule | RateLimit]:
    yield from ranked_calls(policy)
    yield from ranked_files(policy)
    yield from ranked_network(policy)
    yield from policy.limits
    yield policy.default
