"""Calls that operators allow or deny an instance from here on, on top of the policy that it has."""

from collections.abc import Sequence
from dataclasses import replace

from kwhost.core.errors import Conflict, UsageError
from kwhost.core.model.policy import CallAction, CallChoice
from kwhost.core.policy.model import ALLOW, DENY, CallRule, DefaultRule, Layer, Origin, Policy
from kwhost.core.policy.ranking import ranked_calls
from kwhost.core.policy.tables import INSTANCE_LAYER
from kwhost.core.policy.words import parse_calls

__all__ = ["check_choice", "choose", "with_choices"]

# No policy of a configuration can be called so.
_ORIGIN = "from here on"
_PLACE = "kwhost policy set"
_VERDICTS = {CallAction.ALLOW: ALLOW, CallAction.DENY: DENY}


def choose(choices: Sequence[CallChoice], call: str, action: CallAction | None) -> tuple[CallChoice, ...]:
    """What is chosen then; None takes a choice back. Raises UsageError for what is no call."""
    if call.startswith("@"):
        raise UsageError(f"{call} is a set: name one call")
    parse_calls(call)
    others = tuple(choice for choice in choices if choice.call != call)
    return (*others, CallChoice(call=call, action=action)) if action else others


def with_choices(layers: Sequence[Layer], choices: Sequence[CallChoice]) -> list[Layer]:
    """The layers with the choices in the instance's own."""
    if not choices:
        return list(layers)
    return [
        Layer(name, _derived(policy, choices)) if name == INSTANCE_LAYER else Layer(name, policy)
        for name, policy in layers
    ]


def _derived(policy: Policy, choices: Sequence[CallChoice]) -> Policy:
    """A policy on that one as its base. Rules on arguments go on deciding for calls that are allowed; what is
    denied is, whatever its arguments."""
    denied = {choice.call for choice in choices if choice.action is CallAction.DENY}
    kept = (rule for rule in policy.calls if not (rule.conditions and denied & rule.calls))
    origin = Origin(_ORIGIN, _PLACE, policy.generations)
    chosen = (
        CallRule(
            name=choice.call,
            calls=frozenset([choice.call]),
            verdict=_VERDICTS[choice.action],
            origin=origin,
        )
        for choice in choices
    )
    return replace(policy, calls=(*kept, *chosen), generations=policy.generations + 1)


def check_choice(layers: Sequence[Layer], call: str) -> None:
    """Raise Conflict where allowing a call changes nothing in `layers`, which are without that choice."""
    for name, policy in layers:
        rule = _plain_rule(policy, call)
        named = f'"{rule}" of {name}, from {rule.origin.policy} ({rule.origin.where})'
        if name != INSTANCE_LAYER and not rule.verdict.permits:
            raise Conflict(f"allowing {call} changes nothing: it is refused by {named}")
        if name == INSTANCE_LAYER and rule.verdict == ALLOW:
            raise Conflict(
                f"{call} is allowed already, by {named}; what refuses it is a rule on its arguments, on a "
                "file, an address or a rate, or the monitor"
            )


def _plain_rule(policy: Policy, call: str) -> CallRule | DefaultRule:
    """That decides on a call whose arguments no rule is about."""
    return next((rule for rule in ranked_calls(policy, call) if not rule.conditions), policy.default)
