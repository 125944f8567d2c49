"""What happened to the instance since this program was started."""

from datetime import UTC, datetime

from textual.app import ComposeResult

from kwhost.core.model.events import Event, EventKind
from kwhost.core.model.ids import InstanceId
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["EventsPane"]

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


def _time(event: Event) -> Cell:
    return Cell(datetime.fromtimestamp(event.time, UTC).astimezone().strftime("%H:%M:%S"), Tone.DIM)


_COLUMNS: list[Column[Event]] = [
    Column("time", 8, _time, lambda event: event.seq, descending=True),
    Column(
        "event",
        12,
        lambda event: Cell(event.kind.value, _TONES.get(event.kind, Tone.ACCENT)),
        lambda event: event.kind.value,
    ),
    Column("what", 0, lambda event: event.text),
]


class EventsPane(Pane):
    """The newest on top."""

    DEFAULT_CSS = "EventsPane RowTable { height: 1fr; }"

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        empty = "Nothing has happened since this was started; kwhost events shows what did before."
        self._table = RowTable[Event](
            _COLUMNS, lambda event: event.seq, sort="time", empty=empty, id="event-table"
        )

    def compose(self) -> ComposeResult:
        """A table."""
        yield self._table

    def take_focus(self) -> None:
        """The table has the keys."""
        self._table.focus()

    def show_state(self) -> None:
        """What is new."""
        mine = [event for event in self.host.events if event.instance == self.instance]
        self._table.set_rows(mine)
