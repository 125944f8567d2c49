"""The instance's processes, and their threads."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType

from kwhost.core.errors import Conflict
from kwhost.core.model.daemon import ProcessEntry, ThreadEntry, ThreadState
from kwhost.core.model.ids import InstanceId
from kwhost.tui.format import size
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.panes.base import Pane
from kwhost.tui.records import read
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["ProcessesPane"]

_SECONDS = 1.0
# With fewer lines there are fewer threads to be seen.
_TALL = 20

R = TypeVar("R")


def _number(title: str, width: int, cell: Callable[[R], str], order: Callable[[R], Any]) -> Column[R]:
    return Column(title, width, cell, order, right=True, descending=True)


_COLUMNS: list[Column[ProcessEntry]] = [
    Column("pid", 8, lambda entry: str(entry.pid), lambda entry: entry.pid, right=True),
    Column("user", 10, lambda entry: Cell(entry.user, Tone.DIM), lambda entry: entry.user, rank=1),
    _number("threads", 8, lambda entry: str(entry.threads), lambda entry: entry.threads),
    _number("cpu", 9, lambda entry: f"{entry.cpu_seconds:.1f} s", lambda entry: entry.cpu_seconds),
    _number("memory", 8, lambda entry: size(entry.memory), lambda entry: entry.memory),
    Column("command", 0, lambda entry: Cell(entry.command, Tone.ACCENT), lambda entry: entry.command),
]

_TONES = {
    ThreadState.RUNNING: Tone.GOOD,
    ThreadState.WAITING: Tone.WARNING,
    ThreadState.STOPPED: Tone.WARNING,
    ThreadState.ENDED: Tone.BAD,
}
_THREADS: list[Column[ThreadEntry]] = [
    Column("thread", 8, lambda each: str(each.tid), lambda each: each.tid, right=True),
    Column(
        "state",
        10,
        lambda each: Cell(each.state.value, _TONES.get(each.state, Tone.DIM)),
        lambda each: each.state.value,
    ),
    _number("cpu", 9, lambda each: f"{each.cpu_seconds:.1f} s", lambda each: each.cpu_seconds),
    Column("name", 0, lambda each: Cell(each.name, Tone.ACCENT), lambda each: each.name),
]


class ProcessesPane(Pane):
    """Each is a process of the host too, with threads of the host: `pid` and `thread` are the host's numbers.
    The threads are those of the process with the cursor."""

    DEFAULT_CSS = """
    ProcessesPane RowTable { height: 1fr; }
    ProcessesPane #thread-table { height: 6; }
    ProcessesPane.tall #thread-table { height: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("processes")

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._table = RowTable[ProcessEntry](
            _COLUMNS, lambda entry: entry.pid, sort="pid", empty="Nothing runs.", id="process-table"
        )
        self._threads = RowTable[ThreadEntry](
            _THREADS, lambda each: each.tid, sort="thread", empty="No threads.", id="thread-table"
        )

    def compose(self) -> ComposeResult:
        """The processes, the threads of one."""
        yield self._table
        yield self._threads

    async def follow(self) -> None:
        """Read them once a second; of an instance that does not run there are none."""
        while True:
            try:
                entries = read(await self.ask("top"), tuple[ProcessEntry, ...])
            except Conflict:
                entries = ()
            self._table.set_rows(entries)
            self._show_threads()
            await asyncio.sleep(_SECONDS)

    def on_resize(self, event: events.Resize) -> None:
        """There is more room, or less."""
        self.set_class(event.size.height >= _TALL, "tall")

    def on_row_table_highlighted(self) -> None:
        """Another process has the cursor."""
        self._show_threads()

    def _show_threads(self) -> None:
        process = self._table.current
        self._threads.set_rows(process.listed if process else ())

    def action_other_table(self) -> None:
        """Give the keys to the other table."""
        (self._table if self._threads.has_focus else self._threads).focus()
