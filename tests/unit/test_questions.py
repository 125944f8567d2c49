"""Questions of instances: who answers them, for how long, and what becomes of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio

from kwhost.core.abi.messages import Event, EventType, answer
from kwhost.core.errors import Conflict, NotFound
from kwhost.core.model.decisions import Answer, Decision, DecisionKind, Question, RuleRef, Scope
from kwhost.core.model.events import AuditRecord
from kwhost.core.model.ids import InstanceId
from kwhost.core.policy.calls import CALLS
from kwhost.core.store.database import Store
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.decisions import Line
from kwhost.core.supervise.questions import PluginAnswer, Questions
from kwhost.core.supervise.remembered import RememberedAnswers
from kwhost.testing import make_definition

RULE = RuleRef(layer="instance", policy="asking", text="ask connect")
REFUSED, ALLOWED, TIMEOUT, WITHDRAWN = range(4)
O_CREAT, O_TRUNC, O_CLOEXEC = 0x40, 0x200, 0x8_0000


class World:
    """An instance that asks; `plugins` is what they answer."""

    def __init__(self, store: Store, nursery: trio.Nursery) -> None:
        self.store = store
        self.plugins: PluginAnswer | None = None
        self.sent: list[bytes] = []
        self.lines: list[Line] = []
        self.decisions: list[Decision] = []
        self.audited: list[AuditRecord] = []
        self._nursery = nursery
        self.record = InstanceRecord(
            id=InstanceId("0123456789ab"),
            tenant=make_definition().tenant,
            name=make_definition().name,
            definition=make_definition(),
            desired="running",
            state=None,  # type: ignore[arg-type]
            created=0.0,
        )
        self.questions = self.anew()

    def anew(self) -> Questions:
        """As a new daemon has them."""
        remembered = RememberedAnswers(self.store)
        return Questions(remembered, self._ask, self.decisions.append, self._audit)

    async def _ask(self, _question: Question) -> PluginAnswer | None:
        await trio.lowlevel.checkpoint()
        return self.plugins

    async def _audit(self, entry: AuditRecord) -> None:
        self.audited.append(entry)

    def rule(self, _number: int) -> RuleRef:
        return RULE

    async def send(self, message: bytes) -> bool:
        self.sent.append(message)
        return True

    def note(self, line: Line) -> None:
        self.lines.append(line)

    def begin(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        self._nursery.start_soon(function, *arguments)

    async def asks(self, number: int, about: str = "192.0.2.1:80/tcp") -> None:
        text = f"{number} 7 7 30000 3 7ffe{number:04x} 10 0 0 0 {about}"
        await self.questions.asked(self, Event(EventType.QUESTION, 5, 0, text, CALLS["connect"]))
        await trio.testing.wait_all_tasks_blocked()

    def ends(self, number: int, end: int) -> None:
        self.questions.ended(self, Event(EventType.ANSWERED, number, 0, "", end))

    def open(self) -> list[str]:
        return [question.id for question in self.questions.list(None)]


@pytest.fixture
async def world(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[World]:
    store = await Store.open(tmp_path / "kwhost.db")
    yield World(store, nursery)
    await store.aclose()


async def test_an_operators_answer_reaches_the_call_and_is_told(world: World) -> None:
    await world.asks(40)
    (wanted,) = world.questions.list(None)

    await world.questions.answer(wanted.id, Answer(allow=True), "operator root")
    world.ends(40, ALLOWED)

    assert world.sent == [answer(40, allow=True)]
    assert world.open() == []
    assert [(each.kind, each.by) for each in world.decisions] == [(DecisionKind.ALLOWED, "operator root")]


async def test_a_question_is_answered_once(world: World) -> None:
    await world.asks(40)
    (wanted,) = world.questions.list(None)
    await world.questions.answer(wanted.id, Answer(allow=True), "operator root")

    with pytest.raises(Conflict, match="is answered already, by operator root"):
        await world.questions.answer(wanted.id, Answer(allow=False), "operator eve")
    world.ends(40, ALLOWED)
    with pytest.raises(NotFound, match="no question 1 is open"):
        await world.questions.answer(wanted.id, Answer(allow=False), "operator eve")


@pytest.mark.parametrize(("end", "told"), [(TIMEOUT, ["nobody"]), (WITHDRAWN, [])])
async def test_without_an_answer_it_is_refused_or_withdrawn(world: World, end: int, told: list[str]) -> None:
    await world.asks(40)

    world.ends(40, end)

    assert world.open() == []
    assert [decision.by for decision in world.decisions] == told


async def test_a_plugins_answer_is_in_the_audit(world: World) -> None:
    world.plugins = PluginAnswer(Answer(allow=False), "approve")

    await world.asks(40)

    assert world.sent == [answer(40, allow=False)]
    (entry,) = world.audited
    assert (entry.user, entry.outcome) == ("plugin approve", "refuse")
    assert "acme/web: connect" in entry.target


async def test_an_answer_for_ever_is_given_to_equal_questions_by_a_new_daemon_too(world: World) -> None:
    await world.asks(40)
    await world.asks(41)
    await world.asks(42, "192.0.2.2:80/tcp")

    await world.questions.answer(
        world.questions.list(None)[0].id, Answer(allow=True, scope=Scope.FOREVER), "me"
    )
    assert world.sent == [answer(40, allow=True), answer(41, allow=True)]

    world.questions = world.anew()
    await world.questions.remembered.load()
    await world.asks(50)
    await world.asks(51, "192.0.2.2:80/tcp")
    assert world.sent[2:] == [answer(50, allow=True)]
    assert len(world.open()) == 1


@pytest.mark.parametrize("call", ["open", "openat", "openat2"])
async def test_an_answer_about_reading_is_none_about_writing(world: World, call: str) -> None:
    """Of an open the access counts; not the directory's descriptor, addresses and other flags."""
    flags, reading, writing = 1 if call == "open" else 2, 0, 2

    async def opens(number: int, use: int) -> None:
        arguments = [f"{number:x}"] * 6
        arguments[flags] = f"{use:x}"
        text = f"{number} 7 7 30000 {' '.join(arguments)} /etc/passwd"
        await world.questions.asked(world, Event(EventType.QUESTION, 5, 0, text, CALLS[call]))

    await opens(40, reading)
    wanted = world.questions.list(None)[0].id
    await world.questions.answer(wanted, Answer(allow=True, scope=Scope.FOREVER), "me")
    await opens(41, reading | O_CLOEXEC)
    for number, use in enumerate((writing, reading | O_CREAT, reading | O_TRUNC), start=42):
        await opens(number, use)

    assert world.sent == [answer(40, allow=True), answer(41, allow=True)]
    assert len(world.open()) == 3


async def test_an_answer_for_the_run_ends_with_it(world: World) -> None:
    await world.asks(40)
    scope = Answer(allow=True, scope=Scope.INSTANCE)
    await world.questions.answer(world.questions.list(None)[0].id, scope, "me")

    await world.questions.close(world.record.id)
    await world.asks(41)

    assert len(world.open()) == 1
    assert await world.store.answers() == ()


async def test_an_answer_can_be_forgotten(world: World) -> None:
    await world.asks(40)
    given = Answer(allow=True, scope=Scope.FOREVER)
    await world.questions.answer(world.questions.list(None)[0].id, given, "me")
    (answered,) = world.questions.remembered.list(None)

    with pytest.raises(NotFound, match="no answer 99 is remembered"):
        await world.questions.remembered.forget(99)
    await world.questions.remembered.forget(answered.number)
    await world.asks(41)

    assert len(world.open()) == 1


async def test_no_more_than_64_questions_of_an_instance_are_kept(world: World) -> None:
    for number in range(100):
        await world.asks(number, f"192.0.2.{number}:80/tcp")

    assert len(world.open()) == 64
