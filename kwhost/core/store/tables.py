"""The tables, synchronously: for the store's worker thread, and for commands that run without a daemon."""

import json
import sqlite3
from collections.abc import Container, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from kwhost.core.errors import StoreError
from kwhost.core.model.decisions import RememberedAnswer
from kwhost.core.model.events import AuditRecord, Event, EventPage
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.store.records import ExitHistory, InstanceRecord
from kwhost.core.store.schema import open_database, store_error

__all__ = ["AUDIT_KEPT", "EVENTS_KEPT", "EXITS_KEPT", "Tables"]

# The newest that are kept; of exits, for each instance. Events and audit may exceed it by _PRUNE_STEP.
EVENTS_KEPT = 100_000
AUDIT_KEPT = 100_000
EXITS_KEPT = 1_000
_PRUNE_STEP = 1_000

# What one page of the journal looks at, whatever it leaves out.
_SCANNED = 10_000

_Record = TypeVar("_Record", InstanceRecord, Event, AuditRecord, ExitHistory, RememberedAnswer)


def _encode(record: object) -> str:
    try:
        return msgspec.json.encode(record).decode()
    except UnicodeEncodeError:
        # Messages may quote names of files, which need not be UTF-8: "?" stands for such bytes.
        plain = json.dumps(msgspec.to_builtins(record), ensure_ascii=False)
        return plain.encode("utf-8", "replace").decode()


class Tables:
    """The open database. Writing happens inside `transaction()`; every method may raise StoreError."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file at `path`, making it where there is none."""
        return cls(open_database(path), path)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is kept, or after an error nothing of it."""
        self._rows("BEGIN IMMEDIATE")
        try:
            yield
            self._rows("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()

    def save_instance(self, record: InstanceRecord) -> None:
        """Put a record in the place of the one with its id, if there is one."""
        self._rows("REPLACE INTO instances VALUES (?, ?)", record.id, _encode(record))

    def remove_instance(self, id: InstanceId) -> None:  # noqa: A002 - it is the word for it
        """Forget an instance and its exits; its events stay."""
        self._rows("DELETE FROM instances WHERE id = ?", id)
        self._rows("DELETE FROM exits WHERE instance = ?", id)

    def instances(self) -> tuple[InstanceRecord, ...]:
        """All records, in no special order."""
        rows = self._rows("SELECT record FROM instances")
        return tuple(self._decode(text, InstanceRecord) for (text,) in rows)

    def append_event(self, event: Event) -> Event:
        """The event with its sequence number."""
        seq = self._insert(
            "INSERT INTO events (tenant, instance, record) VALUES (?, ?, ?)",
            event.tenant,
            event.instance,
            _encode(event),
        )
        self._prune("events", seq, EVENTS_KEPT)
        return replace(event, seq=seq)

    def events(
        self, after: int, limit: int, tenants: Container[TenantName] | None, instance: InstanceId | None
    ) -> EventPage:
        """The oldest events after sequence number `after`: of `tenants` (None: all, and the host's) and of
        `instance` (None: any); at most `limit`. A page may be empty although more follow behind `last`."""
        found: list[Event] = []
        rows = self._rows(
            "SELECT seq, tenant, record FROM events WHERE seq > ?1 AND (?2 IS NULL OR instance = ?2) "
            "ORDER BY seq LIMIT ?3",
            after,
            instance,
            _SCANNED,
        )
        for seq, tenant, text in rows:
            if len(found) >= limit:
                return EventPage(tuple(found), after)
            after = seq
            if tenants is None or tenant in tenants:
                found.append(replace(self._decode(text, Event), seq=seq))
        if instance is not None and len(rows) < _SCANNED:  # all others were looked at, by the database
            after = max(after, self.last_event())
        return EventPage(tuple(found), after)

    def newest_events(
        self, count: int, tenants: Container[TenantName] | None, instance: InstanceId | None
    ) -> int:
        """The sequence number after which the newest `count` such events follow, at most 10,000."""
        first = self.last_event() + 1
        statement = "SELECT seq, tenant FROM events WHERE ?1 IS NULL OR instance = ?1 ORDER BY seq DESC"
        try:
            with closing(self._connection.execute(statement, (instance,))) as rows:
                fitting = (seq for seq, tenant in rows if tenants is None or tenant in tenants)
                return min(islice(fitting, min(count, _SCANNED)), default=first) - 1
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    def last_event(self) -> int:
        """The newest event's sequence number; 0 where there never was one."""
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        return int(rows[0][0]) if rows else 0

    def append_exit(self, entry: ExitHistory) -> None:
        """Add one end to its instance's history."""
        of = entry.instance
        [(newest,)] = self._rows("SELECT max(number) FROM exits WHERE instance = ?", of)
        number = (newest or 0) + 1
        self._rows("INSERT INTO exits VALUES (?, ?, ?)", of, number, _encode(entry))
        self._rows("DELETE FROM exits WHERE instance = ? AND number <= ?", of, number - EXITS_KEPT)

    def exits(self, instance: InstanceId, limit: int) -> tuple[ExitHistory, ...]:
        """An instance's newest ends, oldest first."""
        rows = self._rows(
            "SELECT record FROM exits WHERE instance = ? ORDER BY number DESC LIMIT ?", instance, limit
        )
        return tuple(self._decode(text, ExitHistory) for (text,) in rows)[::-1]

    def add_answer(self, answer: RememberedAnswer) -> RememberedAnswer:
        """Remember an answer; with its number."""
        number = self._insert("INSERT INTO answers (record) VALUES (?)", _encode(answer))
        return replace(answer, number=number)

    def remove_answers(self, numbers: Iterable[int]) -> None:
        """Forget answers."""
        for number in numbers:
            self._rows("DELETE FROM answers WHERE number = ?", number)

    def answers(self) -> tuple[RememberedAnswer, ...]:
        """All that are remembered, oldest first."""
        rows = self._rows("SELECT number, record FROM answers ORDER BY number")
        return tuple(replace(self._decode(text, RememberedAnswer), number=number) for number, text in rows)

    def append_audit(self, entry: AuditRecord) -> None:
        """Add one entry to the audit."""
        seq = self._insert("INSERT INTO audit (record) VALUES (?)", _encode(entry))
        self._prune("audit", seq, AUDIT_KEPT)

    def audit(self, limit: int, instance: InstanceId | None) -> tuple[AuditRecord, ...]:
        """The newest entries, of an instance (None: all), oldest first."""
        # An id in quotes is a whole value of the record: quotes within values are escaped.
        wanted = "" if instance is None else f'"{instance}"'
        rows = self._rows(
            "SELECT record FROM audit WHERE instr(record, ?) ORDER BY seq DESC LIMIT ?", wanted, limit
        )
        entries = [self._decode(text, AuditRecord) for (text,) in rows]
        return tuple(entry for entry in entries[::-1] if instance in (None, entry.instance))

    def _prune(self, table: str, newest: int, kept: int) -> None:
        """Now and then, remove what is too old."""
        if newest % _PRUNE_STEP == 0:
            self._rows(f"DELETE FROM {table} WHERE seq <= ?", newest - kept)  # noqa: S608 - our own names

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    def _insert(self, statement: str, *values: object) -> int:
        """The new row's number."""
        try:
            number = self._connection.execute(statement, values).lastrowid
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error
        assert number
        return number

    def _decode(self, text: str, kind: type[_Record]) -> _Record:
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(
                f"{self._path} holds a record that this version cannot read ({error}): install the kwhost "
                "that wrote it, or choose another host.state_dir"
            ) from error
