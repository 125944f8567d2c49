"""What happens reaches the store: in order, all of it, also when the store fails for a while."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio

from kwhost.core.errors import StoreError
from kwhost.core.model.events import Event, EventKind
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.status import EndReason, InstanceState
from kwhost.core.store.records import ExitHistory, InstanceRecord
from kwhost.core.supervise import journal as journal_module
from kwhost.core.supervise.journal import Journal
from tests.unit.fake_hosting import ACME, make_definition

if TYPE_CHECKING:
    from kwhost.core.store.database import Store

ID = InstanceId("0123456789ab")
RECORD = InstanceRecord(
    id=ID,
    tenant=ACME,
    name=make_definition().name,
    definition=make_definition(),
    desired="running",
    state=InstanceState.RUNNING,
    created=1.0,
)
ENDED = ExitHistory(instance=ID, started=1.0, ended=2.0, exit_code=3, reason=EndReason.EXITED)


class FailingStore:
    """Keeps everything, unless it is full."""

    def __init__(self) -> None:
        self.full = False
        self.records: dict[InstanceId, InstanceRecord] = {}
        self.events: list[Event] = []
        self.exits: list[ExitHistory] = []

    async def _write(self, operation: Callable[[], Any]) -> Any:
        await trio.lowlevel.checkpoint()
        if self.full:
            raise StoreError("kwhost.db cannot be written: its disk is full")
        return operation()

    def _append(self, event: Event) -> Event:
        self.events.append(replace(event, seq=len(self.events) + 1))
        return self.events[-1]

    async def save_instance(
        self, record: InstanceRecord, *events: Event, ended: ExitHistory | None = None
    ) -> tuple[Event, ...]:
        def save() -> tuple[Event, ...]:
            self.records[record.id] = record
            self.exits += [ended] if ended else []
            return tuple(map(self._append, events))

        return cast("tuple[Event, ...]", await self._write(save))

    async def remove_instance(self, id: InstanceId, *events: Event) -> tuple[Event, ...]:  # noqa: A002
        def remove() -> tuple[Event, ...]:
            self.records.pop(id, None)
            return tuple(map(self._append, events))

        return cast("tuple[Event, ...]", await self._write(remove))

    async def append_event(self, event: Event) -> Event:
        return cast("Event", await self._write(lambda: self._append(event)))

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events]


class World:
    """A journal, its store, what it reported and whom it told."""

    def __init__(self) -> None:
        self.store = FailingStore()
        self.reports: list[str] = []
        self.told: list[Event] = []
        self.journal = Journal(cast("Store", self.store), self.reports.append)
        self.journal.listen = self.told.append

    async def note(self, text: str, record: InstanceRecord = RECORD, **more: Any) -> None:
        await self.journal.commit(record, EventKind.NOTICE, text, **more)


@pytest.fixture
def world() -> World:
    return World()


async def test_what_is_committed_is_in_the_store_and_told(world: World) -> None:
    await world.note("one")
    await world.journal.tell(EventKind.RELOADED, "two")

    assert world.store.texts == ["one", "two"]
    assert world.told == world.store.events
    assert world.journal.last == 2
    assert world.store.records == {ID: RECORD}
    assert not world.reports


async def test_nothing_is_lost_and_the_order_kept_while_the_store_fails(
    world: World, autojump_clock: trio.testing.MockClock
) -> None:
    world.store.full = True
    await world.note("one")
    await world.note("two", replace(RECORD, state=InstanceState.EXITED), ended=ENDED)
    await world.journal.tell(EventKind.RELOADED, "three")
    await world.journal.save(replace(RECORD, state=InstanceState.FAILED))
    assert not world.told

    world.store.full = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.journal.run)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()

    assert world.store.texts == ["one", "two", "three"]
    assert world.store.exits == [ENDED]
    assert world.store.records[ID].state is InstanceState.FAILED
    assert world.told == world.store.events


async def test_the_operator_reads_once_that_it_fails_and_once_that_it_works(world: World) -> None:
    world.store.full = True
    for text in "abc":
        await world.note(text)
    assert world.reports == [
        "kwhost.db cannot be written: its disk is full; what happens is kept in memory meanwhile"
    ]

    world.store.full = False
    await world.journal.settle()
    await world.note("d")
    assert world.reports[1:] == ["the store can be written again; nothing is missing"]
    assert world.store.texts == ["a", "b", "c", "d"]


async def test_what_must_be_kept_before_it_happens_fails_with_the_store(world: World) -> None:
    world.store.full = True
    with pytest.raises(StoreError, match="disk is full"):
        await world.note("must", must=True)
    await world.note("may")
    with pytest.raises(StoreError, match="free some space"):
        await world.note("must", must=True)

    world.store.full = False
    await world.note("must", must=True)
    assert world.store.texts == ["may", "must"]


async def test_a_removed_instance_does_not_come_back(world: World) -> None:
    world.store.full = True
    await world.note("one")
    with pytest.raises(StoreError):
        await world.journal.remove(RECORD)

    world.store.full = False
    await world.journal.remove(RECORD)
    await world.journal.settle()
    assert world.store.records == {}
    assert [event.kind for event in world.store.events] == [EventKind.NOTICE, EventKind.REMOVED]


async def test_ends_are_kept_where_there_is_room_for_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_KEPT", 3)
    world.store.full = True
    for number in range(5):
        await world.note(str(number))
    await world.note("end", ended=ENDED)

    world.store.full = False
    await world.journal.settle()
    assert world.store.texts == ["0", "1", "2", "end"]
    assert world.store.exits == [ENDED]
    assert world.reports[-1] == "the store can be written again; 2 events are missing"


@pytest.mark.parametrize("full", [False, True])
async def test_what_happened_is_kept_although_nobody_waits_any_more(world: World, full: bool) -> None:
    world.store.full = full
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.note("one")
        await world.note("two")

    world.store.full = False
    await world.journal.settle()
    assert world.store.texts == ["one", "two"]


async def test_who_waits_for_news_is_woken(world: World) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.journal.bell.wait)
        await trio.testing.wait_all_tasks_blocked()
        await world.note("one")
