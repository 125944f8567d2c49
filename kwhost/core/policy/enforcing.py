"""Which kinds of rules policies need from an engine."""

from collections.abc import Collection, Iterator, Sequence

from kwhost.core.errors import UsageError
from kwhost.core.model.rules import RuleKind
from kwhost.core.policy.carried import uncarried
from kwhost.core.policy.model import (
    Action,
    CallRule,
    FileRule,
    Layer,
    NetworkRule,
    Policy,
    RateLimit,
    Rule,
)
from kwhost.core.policy.numbering import rules_of

__all__ = ["check_enforceable"]


def _kinds(rule: Rule | RateLimit, policy: Policy) -> Iterator[RuleKind]:
    if rule in uncarried(policy):
        yield RuleKind.EXECUTION
    match rule:
        case RateLimit():
            yield RuleKind.LIMITS
            return
        case CallRule():
            yield RuleKind.ARGUMENTS if rule.conditions else RuleKind.CALLS
        case FileRule():
            yield RuleKind.FILES
            return
        case NetworkRule():
            yield RuleKind.NETWORK
        case _:
            yield RuleKind.CALLS
    if rule.verdict.action is Action.ASK:
        yield RuleKind.QUESTIONS


def check_enforceable(engine: str, enforced: Collection[RuleKind], layers: Sequence[Layer]) -> None:
    """Raise UsageError for the first rule that the engine cannot hold: none is ever left out."""
    for layer in layers:
        for rule in rules_of(layer.policy):
            for kind in _kinds(rule, layer.policy):
                if kind not in enforced:
                    raise UsageError(
                        f"the engine {engine} has no rules on {kind.value}, and the layer {layer.name} has "
                        f"one: {rule.origin.where}: {rule}; choose another engine, or another policy"
                    )
