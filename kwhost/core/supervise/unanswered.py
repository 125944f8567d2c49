"""Questions of an instance that runs in the foreground: there nobody can answer them."""

from typing import NamedTuple

from kwhost.core.abi.call_names import call_name
from kwhost.core.abi.messages import Event, answer
from kwhost.core.abi.policy_events import read_question
from kwhost.core.policy.calls import plain_arguments
from kwhost.core.policy.numbering import Numbering
from kwhost.core.policy.shown_calls import show_call

__all__ = ["Refusal", "refusal"]


class Refusal(NamedTuple):
    """The answer for `supervise`, and the line for the operator: the same for the same question."""

    message: bytes
    warning: str


def refusal(event: Event, numbering: Numbering) -> Refusal | None:
    """What becomes of a QUESTION; None where it makes no sense."""
    call = read_question(event)
    if call is None:
        return None
    rule = numbering.rules.get(call.rule)
    name = call_name(call.call)
    shown = (
        f"{name} of {call.object}" if call.object else show_call(name, plain_arguments(name, call.arguments))
    )
    by = f'the rule "{rule.text}" asks' if rule else "a rule asks"
    warning = f"{by} about {shown}: it is refused, since without a daemon (kwhost up) nobody can answer"
    return Refusal(answer(call.question, allow=False), warning)
