"""All hosts, and the instances of all of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, NamedTuple

from textual import on
from textual.binding import BindingType
from textual.widget import Widget

from kwhost.tui.fleet import Row, Totals
from kwhost.tui.format import percent, rate, size
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.messages import Control, OpenHost
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.widgets.instances import instance_columns
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["HostsScreen"]

_NAME = 14


class _HostRow(NamedTuple):
    host: Host
    totals: Totals


class _Placed(NamedTuple):
    host: Host
    row: Row


_Shown = _HostRow | _Placed


def _state(row: _HostRow) -> Cell:
    if row.host.trouble:
        return Cell(f"○ {row.host.trouble}", Tone.BAD)
    return Cell(f"● {row.host.client.path}", Tone.GOOD)


_HOST_COLUMNS: list[Column[_HostRow]] = [
    Column("host", _NAME, lambda row: Cell(row.host.name, Tone.ACCENT), lambda row: row.host.name),
    Column("state", 0, _state),
    Column("asked", 6, lambda row: str(len(row.host.questions) or "-"), right=True, rank=3),
    Column("running", 7, lambda row: str(row.totals.running), right=True),
    Column("failed", 6, lambda row: Cell(str(row.totals.failed), _failed(row)), right=True),
    Column("cpu%", 6, lambda row: percent(row.totals.cpu), right=True),
    Column("memory", 8, lambda row: size(row.totals.memory), right=True),
    Column("calls/s", 7, lambda row: rate(row.totals.calls), right=True, rank=1),
    Column("denied/s", 8, lambda row: rate(row.totals.denied), right=True, rank=2),
]


def _failed(row: _HostRow) -> Tone:
    return Tone.BAD if row.totals.failed else Tone.DIM


def _placed_columns(clock: Callable[[], float]) -> list[Column[_Placed]]:
    """Those of the overview, behind the host."""

    def lifted(column: Column[Row]) -> Column[_Placed]:
        order = column.order
        return Column(
            column.title, column.width, lambda placed: column.cell(placed.row),
            (lambda placed: order(placed.row)) if order else None,
            right=column.right, rank=column.rank, descending=column.descending,
        )  # fmt: skip

    name = Column[_Placed](
        "host", _NAME, lambda placed: Cell(placed.host.name, Tone.ACCENT),
        lambda placed: (placed.host.name, placed.row.name),
    )  # fmt: skip
    return [name, *map(lifted, instance_columns(clock))]


class HostsScreen(HostScreen):
    """Chooses one of `hosts`; `host` is the one that was looked at."""

    DEFAULT_CSS = """
    HostsScreen #hosts { height: auto; max-height: 40%; }
    HostsScreen #everything { height: 1fr; border-top: solid $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("hosts")

    def __init__(self, host: Host, hosts: Mapping[str, Host]) -> None:
        super().__init__(host)
        self._all = hosts
        self._hosts = RowTable[_HostRow](_HOST_COLUMNS, lambda row: row.host.name, id="hosts")
        self._everything = RowTable[_Placed](
            _placed_columns(host.clock), lambda placed: (placed.host.name, placed.row.key), sort="host",
            empty="No instances.", id="everything",
        )  # fmt: skip

    def content(self) -> Iterable[Widget]:
        """The hosts above the instances."""
        yield self._hosts
        yield self._everything

    def on_mount(self) -> None:
        """Keys are the hosts'."""
        super().on_mount()
        self._hosts.styles.min_height = len(self._all) + 1
        self.set_focus(self._hosts)

    def show_state(self) -> None:
        """Show what has changed."""
        if not self.ready:
            return
        super().show_state()
        self._hosts.set_rows(_HostRow(host, host.fleet.totals) for host in self._all.values())
        self._everything.set_rows(
            _Placed(host, row) for host in self._all.values() for row in host.fleet.rows()
        )

    @on(RowTable.Chosen)
    def action_open(self) -> None:
        """Go to the host, or to the instance, with the cursor."""
        row: _Shown | None = (self._everything if self._everything.has_focus else self._hosts).current
        if row is not None:
            self.post_message(OpenHost(row.host.name, row.row.key if isinstance(row, _Placed) else None))

    def action_control(self, action: str) -> None:
        """Do it with the instance with the cursor, on its own host; hosts themselves are left alone."""
        placed = self._everything.current
        if self._everything.has_focus and placed is not None:
            self.post_message(Control(action, [placed.row], placed.host.name))

    def action_back(self) -> None:
        """Stay where one was."""
        self.dismiss()
