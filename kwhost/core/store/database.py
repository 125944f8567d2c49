"""The store as the daemon uses it: asynchronous, in one worker thread, with writes in batches.

Whatever asks to write while another write is on its way shares the next transaction with all others that
wait: hundreds of instances that start at once cost a few transactions.
"""

from collections.abc import Callable, Container, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import trio

from kwhost.core.errors import StoreError
from kwhost.core.model.decisions import RememberedAnswer
from kwhost.core.model.events import AuditRecord, Event, EventPage
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.store.records import ExitHistory, InstanceRecord
from kwhost.core.store.tables import Tables

__all__ = ["Store"]

_Result = TypeVar("_Result")


class _Write(Generic[_Result]):
    """A write that was asked for, and what became of it."""

    def __init__(self, operation: Callable[[], _Result]) -> None:
        self.operation = operation
        self.done = False
        self.failure: Exception | None = None
        self.result: _Result


class Store:
    """The records of all instances, the journal of events, the audit.

    A method that writes returns when its write is safe from the end of this process; one that was begun is
    finished even if its task is cancelled meanwhile. All raise StoreError, having changed nothing.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lock = trio.Lock()
        self._thread = trio.CapacityLimiter(1)
        self._waiting: list[_Write[Any]] = []
        self._closed = False

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file at `path`, making it where there is none; its directory must exist."""
        return cls(await trio.to_thread.run_sync(Tables.open, path))

    async def aclose(self) -> None:
        """Let go of the file, once what was begun is written."""
        with trio.CancelScope(shield=True):
            async with self._lock:
                self._closed = True
                await trio.to_thread.run_sync(self._tables.close, limiter=self._thread)

    async def save_instance(
        self, record: InstanceRecord, *events: Event, ended: ExitHistory | None = None
    ) -> tuple[Event, ...]:
        """Keep a record and, in the same transaction, what happened; the events with their numbers."""

        def save() -> tuple[Event, ...]:
            self._tables.save_instance(record)
            if ended:
                self._tables.append_exit(ended)
            return tuple(self._tables.append_event(event) for event in events)

        return await self._write(save)

    async def remove_instance(self, id: InstanceId, *events: Event) -> tuple[Event, ...]:  # noqa: A002
        """Forget an instance and its exits and, in the same transaction, add events."""

        def remove() -> tuple[Event, ...]:
            self._tables.remove_instance(id)
            return tuple(self._tables.append_event(event) for event in events)

        return await self._write(remove)

    async def instances(self) -> tuple[InstanceRecord, ...]:
        """All records, in no special order."""
        return await self._read(self._tables.instances)

    async def append_event(self, event: Event) -> Event:
        """Add to the journal, which keeps the newest 100,000; the event with its sequence number."""
        return await self._write(partial(self._tables.append_event, event))

    async def events(
        self,
        after: int,
        limit: int,
        *,
        tenants: Container[TenantName] | None = None,
        instance: InstanceId | None = None,
    ) -> EventPage:
        """Part of the journal, see Tables.events; there are no more once `last` is `after` again."""
        return await self._read(partial(self._tables.events, after, limit, tenants, instance))

    async def newest_events(
        self,
        count: int,
        *,
        tenants: Container[TenantName] | None = None,
        instance: InstanceId | None = None,
    ) -> int:
        """The sequence number after which the newest `count` such events follow, at most 10,000."""
        return await self._read(partial(self._tables.newest_events, count, tenants, instance))

    async def last_event(self) -> int:
        """The newest event's sequence number; 0 where there never was one."""
        return await self._read(self._tables.last_event)

    async def append_exit(self, entry: ExitHistory) -> None:
        """Add to an instance's history, which keeps the newest 1,000 ends."""
        await self._write(partial(self._tables.append_exit, entry))

    async def exits(self, instance: InstanceId, limit: int) -> tuple[ExitHistory, ...]:
        """An instance's newest ends, oldest first."""
        return await self._read(partial(self._tables.exits, instance, limit))

    async def add_answer(self, answer: RememberedAnswer) -> RememberedAnswer:
        """Remember an answer; with its number."""
        return await self._write(partial(self._tables.add_answer, answer))

    async def remove_answers(self, numbers: Sequence[int]) -> None:
        """Forget answers."""
        await self._write(partial(self._tables.remove_answers, numbers))

    async def answers(self) -> tuple[RememberedAnswer, ...]:
        """All that are remembered, oldest first."""
        return await self._read(self._tables.answers)

    async def append_audit(self, entry: AuditRecord) -> None:
        """Add to the audit, which keeps the newest 100,000 entries."""
        await self._write(partial(self._tables.append_audit, entry))

    async def audit(self, limit: int, instance: InstanceId | None = None) -> tuple[AuditRecord, ...]:
        """The newest entries, of an instance (None: all), oldest first."""
        return await self._read(partial(self._tables.audit, limit, instance))

    async def _read(self, operation: Callable[[], _Result]) -> _Result:
        async with self._lock:
            self._check_open()
            return await trio.to_thread.run_sync(operation, limiter=self._thread)

    async def _write(self, operation: Callable[[], _Result]) -> _Result:
        self._check_open()
        write = _Write(operation)
        self._waiting.append(write)
        with trio.CancelScope(shield=True):
            async with self._lock:
                if not write.done:
                    batch, self._waiting = self._waiting, []
                    self._check_open()
                    await trio.to_thread.run_sync(self._commit, batch, limiter=self._thread)
        if write.failure:
            raise StoreError(str(write.failure)) from write.failure
        return write.result

    def _commit(self, batch: list[_Write[Any]]) -> None:
        try:
            with self._tables.transaction():
                for write in batch:
                    write.result = write.operation()
        except Exception as error:  # noqa: BLE001 - raised where each write waits
            for write in batch:
                write.failure = error
        for write in batch:
            write.done = True

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed already")
