"""Calls that wait for an answer: from memory, from plugins, or from an operator.

`supervise` keeps the time: what nobody answered is refused there, and told like an answer.
"""

import os
import time
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, Protocol

from kwhost.core.abi.call_names import call_name
from kwhost.core.abi.messages import Event, answer
from kwhost.core.abi.policy_events import QuestionEnd, read_question
from kwhost.core.errors import Conflict, KwhostError, NotFound
from kwhost.core.model.decisions import (
    Answer,
    Call,
    Decision,
    DecisionKind,
    Question,
    QuestionId,
    RuleRef,
    Scope,
)
from kwhost.core.model.events import AuditRecord, EventKind
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.policy.calls import opening_flags
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.decisions import Line, decision_line, describe_call, wall_time
from kwhost.core.supervise.remembered import RememberedAnswers

__all__ = ["Asked", "Asker", "PluginAnswer", "Questions"]

_NOBODY = "nobody"
_NO_RULE = RuleRef(layer="?", policy="?", text="?")
# `supervise` has no more than 64 for each instance.
_OPEN_MAX = 64


class PluginAnswer(NamedTuple):
    """What a plugin answered."""

    answer: Answer
    plugin: str


class Asker(Protocol):
    """The instance whose call waits."""

    @property
    def record(self) -> InstanceRecord:
        """As it is now."""

    def rule(self, number: int) -> RuleRef | None:
        """The rule with a number."""

    async def send(self, message: bytes) -> bool:
        """Send a control message; False where nobody takes it any more."""

    def note(self, line: Line) -> None:
        """Have something told in the journal."""

    def begin(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Have something done that ends with the run."""


# Asks all plugins, until the deadline of the question; None: they leave it to others.
Asked = Callable[[Question], Awaitable[PluginAnswer | None]]


@dataclass(slots=True)
class _Open:
    """An open question, `number` as `supervise` knows it; `by`: who has answered, "" for nobody yet."""

    question: Question
    number: int
    asker: Asker
    by: str = ""


class Questions:
    """Of all instances of this host. `decided` tells plugins of answers. The first question has the number
    `first`: no earlier daemon told it, else somebody might answer another question than was read."""

    def __init__(
        self,
        remembered: RememberedAnswers,
        ask: Asked,
        decided: Callable[[Decision], None],
        audit: Callable[[AuditRecord], Awaitable[None]],
        first: int = 1,
    ) -> None:
        self.remembered = remembered
        self._ask = ask
        self._decided = decided
        self._audit = audit
        self._ids = count(first)
        self._open: dict[tuple[InstanceId, int], _Open] = {}

    def list(self, tenants: Container[TenantName] | None) -> tuple[Question, ...]:
        """Those of tenants (None: of all) that nobody has answered yet, oldest first."""
        return tuple(
            each.question
            for each in self._open.values()
            if not each.by and (tenants is None or each.question.tenant in tenants)
        )

    async def asked(self, asker: Asker, event: Event) -> None:
        """A QUESTION came; `supervise` tells open ones again to a new daemon, and to that one once."""
        call = read_question(event)
        of = asker.record.id
        if call is None or (of, call.question) in self._open or self._count(of) >= _OPEN_MAX:
            return  # it is refused when its time is over
        question = Question(
            id=QuestionId(str(next(self._ids))),
            time=wall_time(event.time_ns),
            deadline=time.time() + call.remaining,
            tenant=asker.record.tenant,
            instance=of,
            name=asker.record.name,
            call=Call(name=call_name(call.call), arguments=call.arguments, object=call.object, pid=call.pid),
            rule=asker.rule(call.rule) or _NO_RULE,
        )
        opened = self._open[of, call.question] = _Open(question, call.question, asker)
        if known := self.remembered.find(question):
            await self._send(opened, Answer(allow=known.allow), f"{known.by}, remembered")
            return
        asker.note(_question_line(question))
        asker.begin(self._ask_plugins, opened)

    def _count(self, instance: InstanceId) -> int:
        return sum(of == instance for of, _ in self._open)

    async def _ask_plugins(self, opened: _Open) -> None:
        answered = await self._ask(opened.question)
        if answered is None or opened.by or not self._is_open(opened):
            return
        by = f"plugin {answered.plugin}"
        await self._settle(opened, answered.answer, by)
        question = opened.question
        entry = AuditRecord(
            time=time.time(),
            uid=os.geteuid(),
            user=by,
            action=f"answer a question ({answered.answer.scope.value})",
            target=f"{question.tenant}/{question.name}: {describe_call(question.call, question.rule)[0]}"[
                :200
            ],
            outcome="allow" if answered.answer.allow else "refuse",
        )
        await self._audit(entry)

    async def answer(self, wanted: QuestionId, given: Answer, by: str) -> Question:
        """Answer a question. Raises NotFound for one that is not open (any more), Conflict for one that
        somebody else answers at the moment, and StoreError."""
        for opened in self._open.values():
            if opened.question.id == wanted:
                if opened.by:
                    raise Conflict(f"question {wanted} is answered already, by {opened.by}")
                await self._settle(opened, given, by)
                return opened.question
        raise NotFound(f"no question {wanted} is open; kwhost policy questions lists them")

    async def _settle(self, opened: _Open, given: Answer, by: str) -> None:
        opened.by = by
        if given.scope is not Scope.ONCE:
            try:
                await self.remembered.remember(opened.question, given, by)
            except KwhostError:
                opened.by = ""
                raise
        await self._send(opened, given, by)
        if given.scope is not Scope.ONCE:
            await self._answer_equal_ones(opened.asker)

    async def _answer_equal_ones(self, asker: Asker) -> None:
        """What is answered now may be what other calls of the instance wait for."""
        for other in list(self._open.values()):
            known = self.remembered.find(other.question)
            if known and not other.by and other.asker is asker:
                await self._send(other, Answer(allow=known.allow), f"{known.by}, remembered")

    async def _send(self, opened: _Open, given: Answer, by: str) -> None:
        opened.by = by
        if not await opened.asker.send(answer(opened.number, allow=given.allow)):
            self._open.pop((opened.question.instance, opened.number), None)

    def _is_open(self, opened: _Open) -> bool:
        return self._open.get((opened.question.instance, opened.number)) is opened

    def ended(self, asker: Asker, event: Event) -> None:
        """An ANSWERED came: the call was made, or refused."""
        opened = self._open.pop((asker.record.id, event.value), None)
        try:
            end = QuestionEnd(event.extra)
        except ValueError:
            return
        if opened is None or end is QuestionEnd.WITHDRAWN:
            return
        question = opened.question
        allowed = end is QuestionEnd.ALLOWED
        decision = Decision(
            time=time.time(),
            kind=DecisionKind.ALLOWED if allowed else DecisionKind.REFUSED,
            tenant=question.tenant,
            instance=question.instance,
            name=question.name,
            call=question.call,
            rule=question.rule,
            error="" if allowed else "EPERM",
            by=_NOBODY if end is QuestionEnd.TIMEOUT else opened.by or "an earlier daemon",
        )
        self._decided(decision)
        asker.note(decision_line(decision))

    async def close(self, instance: InstanceId) -> None:
        """The run is over: nothing waits any more, and answers for the run are forgotten."""
        for key in [key for key in self._open if key[0] == instance]:
            del self._open[key]
        await self.remembered.forget_run(instance)


def _question_line(question: Question) -> Line:
    text, data = describe_call(question.call, question.rule)
    call = question.call
    flags = opening_flags(call.name, call.arguments)
    key = (EventKind.QUESTION, call.name, call.object, flags, question.rule)
    return Line(EventKind.QUESTION, key, f"may it make {text}?", data | {"question": question.id})
