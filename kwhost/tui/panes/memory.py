"""What the instance's memory is for."""

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from kwhost.core.errors import Conflict
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.memory import InstanceMemory, MemoryKind, MemoryUse, ProcessMemory
from kwhost.tui.format import bar, size
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.records import read
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["MemoryPane", "kind_rows"]

_SECONDS = 2.0  # the host walks through all of the memory for it
_BAR = 20
_TITLES = {
    MemoryKind.PROGRAM: "program",
    MemoryKind.LIBRARIES: "libraries",
    MemoryKind.FILES: "other files",
    MemoryKind.ANONYMOUS: "anonymous: heap, stacks",
    MemoryKind.SHARED: "shared",
    MemoryKind.MONITOR: "kwhost: its monitor",
}
_TABLES = "kwhost: page tables"
_FILES = (MemoryKind.PROGRAM, MemoryKind.LIBRARIES, MemoryKind.FILES)


class KindRow(NamedTuple):
    """A kind in all processes; page tables are only counted as they are in memory, and each is its own.
    `part` of all that is in memory."""

    title: str
    own: bool
    use: MemoryUse | None
    resident: int
    share: int
    part: float


def kind_rows(memory: InstanceMemory) -> list[KindRow]:
    """In the order of the kinds, kwhost's own last. Parts are of what all of them share in, so that they are
    one together."""
    whole = max(1, sum(use.share for use in memory.uses) + memory.page_tables)
    rows = [
        KindRow(
            _TITLES[use.kind], use.kind is MemoryKind.MONITOR, use, use.resident, use.share, use.share / whole
        )
        for use in memory.uses
    ]
    tables = memory.page_tables
    if memory.processes:
        rows.append(KindRow(_TABLES, own=True, use=None, resident=tables, share=tables, part=tables / whole))
    return rows


def _use(title: str, value: Callable[[MemoryUse], int], rank: int = 0) -> Column[KindRow]:
    def cell(row: KindRow) -> Cell | str:
        number = value(row.use) if row.use else None
        return size(number) if number else Cell("·" if row.use else "", Tone.DIM)

    return Column(title, 8, cell, right=True, rank=rank)


_KINDS: list[Column[KindRow]] = [
    Column("what for", 0, lambda row: Cell(row.title, Tone.DIM if row.own else Tone.PLAIN)),
    Column("part of all", _BAR, lambda row: Cell(bar(row.part, _BAR), Tone.ACCENT), rank=3),
    Column("mappings", 8, lambda row: str(row.use.mappings) if row.use else "", right=True, rank=2),
    _use("size", lambda use: use.size),
    Column("resident", 8, lambda row: size(row.resident), right=True),
    Column("share", 8, lambda row: size(row.share), right=True),
    _use("written", lambda use: use.written),
    _use("swapped", lambda use: use.swapped, rank=1),
]


def _of(process: ProcessMemory, kinds: Iterable[MemoryKind], value: Callable[[MemoryUse], int]) -> int:
    wanted = set(kinds)
    return sum(value(use) for use in process.uses if use.kind in wanted)


def _column(
    title: str, kinds: Iterable[MemoryKind], value: Callable[[MemoryUse], int], rank: int = 0
) -> Column[ProcessMemory]:
    def number(process: ProcessMemory) -> int:
        return _of(process, kinds, value)

    def cell(process: ProcessMemory) -> Cell | str:
        return size(number(process)) if number(process) else Cell("·", Tone.DIM)

    return Column(title, 9, cell, number, right=True, rank=rank, descending=True)


_GUEST = tuple(kind for kind in MemoryKind if kind is not MemoryKind.MONITOR)
_PROCESSES: list[Column[ProcessMemory]] = [
    Column("pid", 8, lambda process: str(process.pid), lambda process: process.pid, right=True),
    _column("share", _GUEST, lambda use: use.share),
    _column("resident", _GUEST, lambda use: use.resident),
    _column("files", _FILES, lambda use: use.resident, rank=2),
    _column("anonymous", (MemoryKind.ANONYMOUS,), lambda use: use.resident, rank=1),
    _column("shared", (MemoryKind.SHARED,), lambda use: use.resident, rank=3),
    _column("kwhost", (MemoryKind.MONITOR,), lambda use: use.share, rank=4),
    Column(
        "program",
        0,
        lambda process: Cell(process.program or "-", Tone.WARNING if process.cut else Tone.ACCENT),
        lambda process: process.program,
    ),
]


class MemoryPane(Pane):
    """A table of kinds for the instance, one of its processes, and what is not in them."""

    DEFAULT_CSS = """
    MemoryPane #kind-table { height: 8; }
    MemoryPane #kind-table > .table--cursor { background: $background; }
    MemoryPane #memory-note { height: auto; padding: 0 1; background: $surface; text-wrap: nowrap;
        text-overflow: ellipsis; }
    MemoryPane #memory-table { height: 1fr; }
    """

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._kinds = RowTable[KindRow](_KINDS, lambda row: row.title, empty="Nothing runs.", id="kind-table")
        self._kinds.can_focus = False
        self._note = Static("", id="memory-note", markup=False)
        self._table = RowTable[ProcessMemory](
            _PROCESSES, lambda process: process.pid, sort="share", empty="Nothing runs.", id="memory-table"
        )

    def compose(self) -> ComposeResult:
        """All processes together, what they sum up to, each."""
        yield self._kinds
        yield self._note
        yield self._table

    async def follow(self) -> None:
        """Read it; an instance that does not run has none."""
        while True:
            try:
                memory = read(await self.ask("memory"), InstanceMemory)
            except Conflict:
                memory = InstanceMemory(uses=(), page_tables=0, processes=())
            self._kinds.set_rows(kind_rows(memory))
            self._note.update(_note(memory))
            self._table.set_rows(memory.processes)
            await asyncio.sleep(_SECONDS)


def _note(memory: InstanceMemory) -> Content:
    """What is the instance's and what is kwhost's, each page once; what was not read."""
    own = sum(use.share for use in memory.uses if use.kind is MemoryKind.MONITOR) + memory.page_tables
    guest = sum(use.share for use in memory.uses if use.kind is not MemoryKind.MONITOR)
    parts = [
        ("the instance's ", "$muted"), (size(guest), "bold $accent"),
        ("   kwhost's own ", "$muted"), (size(own), "bold"),
    ]  # fmt: skip
    cut = sum(process.cut for process in memory.processes)
    if memory.left_out:
        parts.append((f"   {memory.left_out} more processes are not in this", "$warning"))
    if cut:
        parts.append((f"   {cut} with more mappings than are read", "$warning"))
    return Content.assemble(*parts)
