"""What happened to the instance, and what was asked of it."""

import asyncio
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from textual.app import ComposeResult
from textual.widgets import Static

from kwhost.core.api.requests import ServerEvent
from kwhost.core.errors import ApiError, KwhostError
from kwhost.core.model.events import AuditRecord, Event, EventKind
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.text import clean
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.records import read
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["EventsPane", "Happening", "happenings"]

_EVENTS_MAX = 5000
# Of what was before the tab was opened.
_TAIL = 1000
_AUDIT_MAX = 1000
_AUDIT_SECONDS = 3.0
_RETRY_SECONDS = 1.0
_DAY_SECONDS = 86_400
_TONES = {
    EventKind.STARTED: Tone.GOOD,
    EventKind.HEALTHY: Tone.GOOD,
    EventKind.RESUMED: Tone.GOOD,
    EventKind.UNHEALTHY: Tone.BAD,
    EventKind.FAILED: Tone.BAD,
    EventKind.CRASH_LOOP: Tone.BAD,
    EventKind.DENIED: Tone.BAD,
    EventKind.KILLED: Tone.BAD,
    EventKind.QUESTION: Tone.WARNING,
    EventKind.PAUSED: Tone.WARNING,
    EventKind.STOPPING: Tone.WARNING,
}


class Happening(NamedTuple):
    """An entry of the journal, or of the audit: somebody's request."""

    key: Hashable
    time: float
    kind: Cell
    text: str


def happenings(events: Iterable[Event], audit: Iterable[AuditRecord]) -> list[Happening]:
    """All of both."""
    return [*map(_happened, events), *map(_asked, audit)]


def _happened(event: Event) -> Happening:
    kind = Cell(event.kind.value, _TONES.get(event.kind, Tone.ACCENT))
    return Happening(event.seq, event.time, kind, event.text)


def _asked(entry: AuditRecord) -> Happening:
    good = entry.outcome == "ok"
    text = f"{entry.user} asked for {entry.action}: {entry.outcome}"
    kind = Cell("asked", Tone.DIM if good else Tone.WARNING)
    return Happening((entry.time, entry.user, entry.action), entry.time, kind, text)


class EventsPane(Pane):
    """The newest on top."""

    DEFAULT_CSS = """
    EventsPane RowTable { height: 1fr; }
    EventsPane #audit { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap; }
    """

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        columns: list[Column[Happening]] = [
            Column("time", 11, self._time, lambda row: row.time, descending=True),
            Column("event", 12, lambda row: row.kind, lambda row: row.kind.text),
            Column("what", 0, lambda row: row.text),
        ]
        empty = "Nothing has happened that the journal still has."
        self._table = RowTable[Happening](
            columns, lambda row: row.key, sort="time", empty=empty, id="event-table"
        )
        self._about_audit = Static("", id="audit", markup=False)
        self._events: deque[Event] = deque(maxlen=_EVENTS_MAX)
        self._audit: Sequence[AuditRecord] = ()

    def compose(self) -> ComposeResult:
        """A table, and a line about requests."""
        yield self._table
        yield self._about_audit

    async def follow(self) -> None:
        """Follow both."""
        await asyncio.gather(self._hear(), self._look())

    async def _hear(self) -> None:
        """The journal: what was, then what comes; after a break from where it was."""
        while True:
            query: dict[str, object] = {"follow": True, "instance": self.instance, "tail": _TAIL}
            if self._events:
                query = {"follow": True, "instance": self.instance, "after": self._events[-1].seq}
            try:
                async for events in self.host.client.events("/v1/events", query):
                    self._take(events)
            except ApiError:
                pass  # the first line of the screen says that the daemon does not answer
            except KwhostError as error:
                self.failed(clean(str(error)))
                return
            await asyncio.sleep(_RETRY_SECONDS)

    def _take(self, events: Sequence[ServerEvent]) -> None:
        self._events.extend(read(event.data, Event) for event in events if event.name == "event")
        self._show()

    async def _look(self) -> None:
        """The audit, now and then; only operators may see it."""
        while True:
            query = {"instance": self.instance, "limit": _AUDIT_MAX}
            try:
                answer = await self.host.client.request("GET", "/v1/audit", query)
                self._audit = read(answer, tuple[AuditRecord, ...])
            except ApiError:
                pass  # as above
            except KwhostError as error:
                self._about_audit.update(clean(f"Without what was asked of it: {error}"))
                return
            else:
                self._about_audit.update('"asked" is from the audit: who asked for what, and how it ended')
                self._show()
            await asyncio.sleep(_AUDIT_SECONDS)

    def _show(self) -> None:
        self._table.set_rows(happenings(self._events, self._audit))

    def _time(self, row: Happening) -> Cell:
        """The time of today, the day of what is older."""
        format_ = "%H:%M:%S" if self.host.clock() - row.time < _DAY_SECONDS else "%m-%d %H:%M"
        return Cell(datetime.fromtimestamp(row.time, UTC).astimezone().strftime(format_), Tone.DIM)
