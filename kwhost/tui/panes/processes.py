"""The instance's processes."""

import asyncio

from textual.app import ComposeResult

from kwhost.core.errors import Conflict
from kwhost.core.model.daemon import ProcessEntry
from kwhost.core.model.ids import InstanceId
from kwhost.tui.format import size
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.records import read
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["ProcessesPane"]

_SECONDS = 1.0
_COLUMNS: list[Column[ProcessEntry]] = [
    Column("pid", 8, lambda entry: str(entry.pid), lambda entry: entry.pid, right=True),
    Column("user", 10, lambda entry: Cell(entry.user, Tone.DIM), lambda entry: entry.user, rank=1),
    Column(
        "threads",
        8,
        lambda entry: str(entry.threads),
        lambda entry: entry.threads,
        right=True,
        descending=True,
    ),
    Column(
        "cpu",
        9,
        lambda entry: f"{entry.cpu_seconds:.1f} s",
        lambda entry: entry.cpu_seconds,
        right=True,
        descending=True,
    ),
    Column(
        "memory", 8, lambda entry: size(entry.memory), lambda entry: entry.memory, right=True, descending=True
    ),
    Column("command", 0, lambda entry: Cell(entry.command, Tone.ACCENT), lambda entry: entry.command),
]


class ProcessesPane(Pane):
    """Each is a process of the host too; `pid` is the host's."""

    DEFAULT_CSS = "ProcessesPane RowTable { height: 1fr; }"

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._table = RowTable[ProcessEntry](
            _COLUMNS, lambda entry: entry.pid, sort="pid", empty="Nothing runs.", id="process-table"
        )

    def compose(self) -> ComposeResult:
        """A table."""
        yield self._table

    def take_focus(self) -> None:
        """The table has the keys."""
        self._table.focus()

    async def follow(self) -> None:
        """Read them once a second; of an instance that does not run there are none."""
        while True:
            try:
                entries = read(await self.ask("top"), tuple[ProcessEntry, ...])
            except Conflict:
                entries = ()
            self._table.set_rows(entries)
            await asyncio.sleep(_SECONDS)
