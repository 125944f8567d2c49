"""What the routes about policies, questions and answers do."""

import shlex
from typing import TYPE_CHECKING

from kwhost.core.api.calls import Call, Handler
from kwhost.core.errors import UsageError
from kwhost.core.model.decisions import Answer, Question, QuestionId, RememberedAnswer
from kwhost.core.model.policy import CallChoice
from kwhost.core.model.policy_views import Explanation, PolicyView

if TYPE_CHECKING:
    from kwhost.core.api.types import CallRequest

__all__ = ["POLICY_HANDLERS"]

_SHOWN_MAX = 80


def _words(call: Call) -> list[str]:
    """The parameter `call`, as a shell would split it."""
    text: str = call.query["call"]
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"call={text[:_SHOWN_MAX]}: {error}") from error
    if not words:
        raise UsageError("call must name a system call: for example call=mkdir")
    return words


async def _names(call: Call) -> tuple[str, ...]:
    return call.hosting.policies.names()


async def _show(call: Call) -> PolicyView:
    return call.hosting.policies.show(call.arguments["policy"])


async def _explain(call: Call) -> Explanation:
    return call.hosting.policies.explain(call.arguments["policy"], _words(call))


async def _show_instance(call: Call) -> PolicyView:
    return call.hosting.policies.show_instance(call.instance().id)


async def _choices(call: Call) -> tuple[CallChoice, ...]:
    return call.hosting.policies.choices(call.instance().id)


async def _choose(call: Call) -> PolicyView:
    status = call.instance()
    wanted: CallRequest = call.body
    action = wanted.action.value if wanted.action else "as before"
    call.audit.about(f"{status.tenant}/{status.name}: {action} {wanted.call}")
    by = f"operator {call.caller.user}"
    await call.hosting.policies.choose(status.id, wanted.call, wanted.action, by)
    return call.hosting.policies.show_instance(status.id)


async def _explain_instance(call: Call) -> Explanation:
    return call.hosting.policies.explain_instance(call.instance().id, _words(call))


async def _questions(call: Call) -> tuple[Question, ...]:
    return call.hosting.policies.questions(call.selected())


async def _answer(call: Call) -> Question:
    given: Answer = call.body
    wanted = call.arguments["question"]
    what = f"{'allow' if given.allow else 'refuse'} ({given.scope.value})"
    call.audit.about(f"question {wanted}: {what}")
    question = await call.hosting.policies.answer(QuestionId(wanted), given, f"operator {call.caller.user}")
    about = f"{question.tenant}/{question.name}: {question.call.name} {question.call.object}".rstrip()
    call.audit.about(f"question {wanted}, {about}: {what}", question.instance)
    return question


async def _answers(call: Call) -> tuple[RememberedAnswer, ...]:
    return call.hosting.policies.answers(call.selected())


async def _forget(call: Call) -> RememberedAnswer:
    text = call.arguments["answer"]
    call.audit.about(f"answer {text}")
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise UsageError(f"{text[:_SHOWN_MAX]!r} is no number of an answer")
    return await call.hosting.policies.forget(int(text))


POLICY_HANDLERS: dict[str, Handler] = {
    "policies": _names,
    "policy": _show,
    "explain": _explain,
    "instance-policy": _show_instance,
    "choices": _choices,
    "choose": _choose,
    "instance-explain": _explain_instance,
    "questions": _questions,
    "answer": _answer,
    "answers": _answers,
    "forget": _forget,
}
