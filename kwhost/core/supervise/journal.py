"""What happens on its way into the store.

The store may fail (a full disk): what happened is kept in memory then, bounded, and written in its order as
soon as the store can be written again. Only what must be recorded before it happens, a start, fails with it.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

import trio

from kwhost.core.errors import StoreError
from kwhost.core.model.events import Event, EventKind
from kwhost.core.store.database import Store
from kwhost.core.store.records import ExitHistory, InstanceRecord
from kwhost.core.supervise.bell import Bell

__all__ = ["Journal"]

# Beyond so many, only ends are kept: there is at most one for each instance, since nothing can be started.
_KEPT = 10_000
_RETRY_SECONDS = 1.0
_UNWRITABLE = "the store of kwhost cannot be written at present: free some space on its disk"


class _Entry(NamedTuple):
    record: InstanceRecord | None
    event: Event | None
    ended: ExitHistory | None


class Journal:
    """Commits each change of an instance together with the event that tells of it.

    `report` gets a line for the operator; `listen` every event, once it is kept.
    """

    def __init__(self, store: Store, report: Callable[[str], None]) -> None:
        self._store = store
        self._report = report
        self._waiting: deque[_Entry] = deque()
        self._dropped = 0
        self._failing = False
        self._writing = trio.Lock()
        self.listen: Callable[[Event], None] = lambda _: None
        self._put_off_bell = Bell()
        self.bell = Bell()
        self.last = 0

    @property
    def store(self) -> Store:
        """Where everything is kept."""
        return self._store

    async def commit(
        self,
        record: InstanceRecord,
        kind: EventKind,
        text: str = "",
        *,
        data: Mapping[str, str] | None = None,
        ended: ExitHistory | None = None,
        must: bool = False,
    ) -> None:
        """Keep a record and an event about it. With `must` raises StoreError if that fails."""
        event = Event(
            time=time.time(),
            kind=kind,
            text=text,
            data=dict(data or {}),
            tenant=record.tenant,
            instance=record.id,
            name=record.name,
        )
        await self._keep(_Entry(record, event, ended), must=must)

    async def save(self, record: InstanceRecord) -> None:
        """Keep a record without telling anybody."""
        await self._keep(_Entry(record, None, None), must=False)

    async def tell(self, kind: EventKind, text: str = "") -> None:
        """Keep an event of the host."""
        await self._keep(_Entry(None, Event(time=time.time(), kind=kind, text=text), None), must=False)

    async def remove(self, record: InstanceRecord) -> None:
        """Forget an instance. Raises StoreError."""
        await self.settle()
        event = Event(
            time=time.time(),
            kind=EventKind.REMOVED,
            tenant=record.tenant,
            instance=record.id,
            name=record.name,
        )
        self._tell_all(await self._store.remove_instance(record.id, event))

    def report_fault(self, record: InstanceRecord, error: BaseException) -> None:
        """A failure in the supervisor's own work for one instance."""
        self._report(f"{record.tenant}/{record.name}: {type(error).__name__}: {error}")

    async def run(self) -> None:
        """Write what waits, again and again, until cancelled."""
        while True:
            while not self._waiting:
                await self._put_off_bell.wait()
            await trio.sleep(_RETRY_SECONDS)
            await self._flush()

    async def settle(self) -> None:
        """Have everything that happened in the store. Raises StoreError."""
        if not self._waiting:
            return
        with trio.CancelScope(shield=True):
            await self._flush()
        if self._waiting:
            raise StoreError(_UNWRITABLE)

    async def _keep(self, entry: _Entry, *, must: bool) -> None:
        """Shielded: what has happened is kept, whether whoever did it still waits or not."""
        with trio.CancelScope(shield=True):
            if must:
                await self.settle()
            if self._waiting:
                self._put_off(entry)
                return
            try:
                await self._write(entry)
            except StoreError as error:
                if must:
                    raise
                self._put_off(entry)
                self._complain(error)

    def _put_off(self, entry: _Entry) -> None:
        if len(self._waiting) < _KEPT or entry.ended:
            self._waiting.append(entry)
            self._put_off_bell.ring()
        else:
            self._dropped += 1

    async def _write(self, entry: _Entry) -> None:
        events = (entry.event,) if entry.event else ()
        if entry.record:
            self._tell_all(await self._store.save_instance(entry.record, *events, ended=entry.ended))
        elif entry.event:
            self._tell_all((await self._store.append_event(entry.event),))

    async def _flush(self) -> None:
        async with self._writing:
            while self._waiting:
                try:
                    await self._write(self._waiting[0])
                except StoreError as error:
                    self._complain(error)
                    return
                self._waiting.popleft()
            if self._failing:
                missing = f"{self._dropped} events are" if self._dropped else "nothing is"
                self._failing, self._dropped = False, 0
                self._report(f"the store can be written again; {missing} missing")

    def _complain(self, error: StoreError) -> None:
        if not self._failing:
            self._failing = True
            self._report(f"{error}; what happens is kept in memory meanwhile")

    def _tell_all(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self.last = max(self.last, event.seq)
            self.listen(event)
        if events:
            self.bell.ring()
