"""Answers that were given for longer than once."""

from collections.abc import Container, Iterable
from dataclasses import replace
from typing import NamedTuple

from kwhost.core.errors import Conflict, NotFound
from kwhost.core.model.decisions import Answer, Call, Question, RememberedAnswer, RuleRef, Scope
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.policy.calls import opening_flags, plain_arguments
from kwhost.core.store.database import Store

__all__ = ["RememberedAnswers"]

# Of all instances together.
_ANSWERS_MAX = 10_000


class _Subject(NamedTuple):
    """What an answer is about."""

    rule: RuleRef
    call: str
    object: str
    arguments: tuple[int, ...]

    @classmethod
    def of(cls, call: Call, rule: RuleRef) -> "_Subject":
        """A call with an object is the same whatever its arguments are, but for what a file is opened for."""
        if not call.object:
            return cls(rule, call.name, "", plain_arguments(call.name, call.arguments))
        flags = opening_flags(call.name, call.arguments)
        return cls(rule, call.name, call.object, () if flags is None else (flags,))


class _Place(NamedTuple):
    """Whom an answer is for: by name, or one instance's run."""

    tenant: TenantName
    name: InstanceName
    instance: InstanceId | None


class RememberedAnswers:
    """In the store and in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._answers: dict[tuple[_Place, _Subject], RememberedAnswer] = {}

    async def load(self) -> None:
        """Take what the store has. Raises StoreError."""
        self._answers = {_key(answer): answer for answer in await self._store.answers()}

    def list(self, tenants: Container[TenantName] | None) -> tuple[RememberedAnswer, ...]:
        """Those of tenants (None: of all), oldest first."""
        found = (answer for answer in self._answers.values() if tenants is None or answer.tenant in tenants)
        return tuple(sorted(found, key=lambda answer: answer.number))

    def find(self, question: Question) -> RememberedAnswer | None:
        """What was answered before; the run's own answer before that for ever."""
        subject = _Subject.of(question.call, question.rule)
        for instance in (question.instance, None):
            place = _Place(question.tenant, question.name, instance)
            if answer := self._answers.get((place, subject)):
                return answer
        return None

    async def remember(self, question: Question, answer: Answer, by: str) -> None:
        """Keep an answer, in the place of an earlier one. Raises StoreError, and Conflict for too many."""
        if len(self._answers) >= _ANSWERS_MAX:
            raise Conflict(
                f"{_ANSWERS_MAX} answers are remembered: forget some (kwhost policy forget), or answer once"
            )
        subject = _Subject.of(question.call, question.rule)
        fresh = RememberedAnswer(
            tenant=question.tenant,
            name=question.name,
            instance=question.instance if answer.scope is Scope.INSTANCE else None,
            time=question.time,
            allow=answer.allow,
            by=by,
            **subject._asdict(),
        )
        before = self._answers.get(_key(fresh))
        kept = await self._store.add_answer(replace(fresh))
        self._answers[_key(kept)] = kept
        if before:
            await self._store.remove_answers([before.number])

    async def forget(self, number: int) -> RememberedAnswer:
        """Raises NotFound, StoreError."""
        found = next((answer for answer in self._answers.values() if answer.number == number), None)
        if found is None:
            raise NotFound(f"no answer {number} is remembered; kwhost policy answers lists them")
        await self._forget([found])
        return found

    async def forget_run(self, instance: InstanceId) -> None:
        """The run of an instance is over. Raises StoreError."""
        await self._forget([answer for answer in self._answers.values() if answer.instance == instance])

    async def _forget(self, answers: Iterable[RememberedAnswer]) -> None:
        gone = list(answers)
        if gone:
            await self._store.remove_answers([answer.number for answer in gone])
        for answer in gone:
            self._answers.pop(_key(answer), None)


def _key(answer: RememberedAnswer) -> tuple[_Place, _Subject]:
    subject = _Subject(answer.rule, answer.call, answer.object, answer.arguments)
    return _Place(answer.tenant, answer.name, answer.instance), subject
