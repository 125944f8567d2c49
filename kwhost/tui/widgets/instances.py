"""The table of instances: its columns, and its rows by tenant."""

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import ClassVar

from textual.binding import BindingType

from kwhost.core.model.instance import Isolation
from kwhost.core.model.status import Health, InstanceState
from kwhost.core.model.text import clean
from kwhost.tui.columns import PluginColumn
from kwhost.tui.fleet import Row, call_rate
from kwhost.tui.format import age, flow, percent, rate, size, sparkline
from kwhost.tui.keys import bindings
from kwhost.tui.tenants import Shown, TenantRow, tree
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone
from kwhost.tui.widgets.tenants import with_tenants, without_tenants

__all__ = ["InstanceTable", "instance_columns"]

# A sign beside each word: colours say nothing that is not also written.
_STATES = {
    InstanceState.CREATED: ("○", Tone.DIM),
    InstanceState.STARTING: ("◐", Tone.WARNING),
    InstanceState.RUNNING: ("●", Tone.GOOD),
    InstanceState.PAUSED: ("‖", Tone.WARNING),
    InstanceState.STOPPING: ("◑", Tone.WARNING),
    InstanceState.EXITED: ("○", Tone.DIM),
    InstanceState.FAILED: ("✗", Tone.BAD),
    InstanceState.CRASH_LOOP: ("↻", Tone.BAD),
}
_HEALTH = {
    Health.NONE: Cell("-", Tone.DIM),
    Health.STARTING: Cell("starting", Tone.WARNING),
    Health.HEALTHY: Cell("healthy", Tone.GOOD),
    Health.UNHEALTHY: Cell("unhealthy", Tone.BAD),
}
_SPARK = 10


def _state(row: Row) -> Cell:
    sign, tone = _STATES[row.status.state]
    failed = row.status.state is InstanceState.EXITED and row.status.exit_code
    text = f"{sign} {row.status.state.value}" + (f" {row.status.exit_code}" if failed else "")
    return Cell(text, Tone.BAD if failed else tone)


def _name(row: Row) -> Cell | str:
    """The column that is never left out says of whom there is no virtual machine."""
    status = row.status
    weak = status.isolation == Isolation.PROCESS.value
    return Cell(f"(no VM) {status.name}", Tone.WARNING) if weak else status.name


def _memory(row: Row) -> Cell:
    used, limit = row.usage.memory, row.usage.memory_limit
    tight = used is not None and limit is not None and used > 0.9 * limit
    return Cell(size(used), Tone.WARNING if tight else Tone.PLAIN)


def _denied(row: Row) -> Cell:
    return Cell(rate(row.denied), Tone.BAD if row.denied else Tone.DIM)


def _network(row: Row) -> Cell:
    return Cell(flow(row.received, row.sent), Tone.PLAIN if row.received or row.sent else Tone.DIM)


def _restarts(row: Row) -> Cell:
    return Cell(str(row.status.restarts), Tone.WARNING if row.status.restarts else Tone.DIM)


def instance_columns(clock: Callable[[], float]) -> list[Column[Row]]:
    """`clock` gives seconds since 1970."""

    def since(row: Row) -> float:
        return row.status.started or row.status.created

    return [
        Column("tenant", 10, lambda row: Cell(row.status.tenant, Tone.DIM), lambda row: row.name),
        Column("name", 0, _name, lambda row: row.status.name),
        Column("state", 12, _state, lambda row: row.status.state.value),
        Column(
            "health", 9, lambda row: _HEALTH[row.status.health], lambda row: row.status.health.value, rank=3
        ),
        Column(
            "engine", 7, lambda row: Cell(row.status.engine, Tone.DIM), lambda row: row.status.engine, rank=7
        ),
        Column(
            "cpu%", 6, lambda row: percent(row.cpu), lambda row: row.cpu or 0.0, right=True, descending=True
        ),
        Column(
            "last 10 s",
            _SPARK,
            lambda row: Cell(sparkline(row.cpu_history, _SPARK, 5.0), Tone.ACCENT),
            rank=5,
        ),
        Column("memory", 8, _memory, lambda row: row.usage.memory or 0, right=True, descending=True),
        Column(
            "calls/s",
            7,
            call_rate,
            lambda row: row.calls or 0.0,
            right=True,
            descending=True,
        ),
        Column(
            "last 10 s", _SPARK, lambda row: Cell(sparkline(row.call_history, _SPARK), Tone.ACCENT), rank=8
        ),
        Column("denied/s", 8, _denied, lambda row: row.denied or 0.0, right=True, rank=1, descending=True),
        Column(
            "network/s",
            11,
            _network,
            lambda row: (row.received or 0.0) + (row.sent or 0.0),
            right=True,
            rank=4,
            descending=True,
        ),
        Column(
            "restarts", 8, _restarts, lambda row: row.status.restarts, right=True, rank=6, descending=True
        ),
        Column("age", 7, lambda row: Cell(age(clock() - since(row)), Tone.DIM), since, right=True, rank=2),
    ]


def _plugin_column(column: PluginColumn) -> Column[Row]:
    """Gone before our own are where the screen is narrow, but for the widest of those."""

    def cell(row: Row) -> Cell:
        found = column.cells.get(row.key)
        return Cell(found.text, Tone(found.tone.value)) if found else Cell("-", Tone.DIM)

    def order(row: Row) -> tuple[float, str]:
        found = column.cells.get(row.key)
        text = found.text if found else ""
        try:
            return (float(text), "")
        except ValueError:
            return (-inf, text)

    offer = column.offer
    return Column(clean(offer.title), offer.width, cell, order, right=offer.right, rank=5)


def _key(row: Shown) -> str:
    return f"tenant {row.tenant}" if isinstance(row, TenantRow) else row.key


class InstanceTable(RowTable[Shown]):
    """Instances, by tenant and name at first; or tenants, which are opened to show their instances."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("tenants")

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(
            with_tenants(instance_columns(clock)),
            _key,
            sort="tenant",
            empty="No instances. kwhost run -d -- COMMAND starts one, kwhost up CONFIG hosts a file's.",
            id="instances",
        )
        self._instances: list[Row] = []
        self._by_tenant = False
        self._has_plugins = False
        self._opened: set[str] = set()

    def show_columns(self, columns: Sequence[PluginColumn]) -> None:
        """Those of plugins, once they are known."""
        if columns and not self._has_plugins:
            self._has_plugins = True
            self.add_columns(without_tenants([_plugin_column(column) for column in columns]))

    def show_instances(self, rows: Iterable[Row]) -> None:
        """These are all."""
        self._instances = list(rows)
        self.sort_again()

    def sort_again(self) -> None:
        """Show what there is, in its order."""
        self.set_rows(self._instances)

    def _sorted(self, rows: Iterable[Shown]) -> list[Shown]:
        if not self._by_tenant:
            return super()._sorted(rows)
        instances = [row for row in rows if isinstance(row, Row)]
        order = self._sort.order if self._sort else None
        return tree(instances, self._opened, order, descending=self._descending)

    @property
    def instance(self) -> Row | None:
        """The one with the cursor."""
        return self.current if isinstance(self.current, Row) else None

    @property
    def chosen_instances(self) -> list[Row]:
        """Those that are marked, or the one with the cursor; a tenant stands for none."""
        return [row for row in self.chosen if isinstance(row, Row)]

    def mark(self) -> None:
        """Mark the one with the cursor, or all of a tenant, which are shown then."""
        if isinstance(row := self.current, TenantRow):
            self._open(row.tenant)
            keys = {each.key for each in row.rows}
            self.marked = self.marked - keys if keys <= self.marked else self.marked | keys
            self.refresh()
        else:
            super().mark()

    def mark_all(self) -> None:
        """Mark all instances that are shown, or none where all are."""
        keys = {row.key for row in self.rows if isinstance(row, Row)}
        self.marked = set() if keys <= self.marked else set(keys)
        self.refresh()

    def _open(self, tenant: str) -> None:
        self._opened.add(tenant)
        self.sort_again()

    def action_by_tenant(self) -> None:
        """A row for each tenant, or for each instance alone."""
        self._by_tenant = not self._by_tenant
        self._opened.clear()
        self.sort_again()

    def action_unfold(self) -> None:
        """Show the tenant's instances."""
        if isinstance(row := self.current, TenantRow):
            self._open(row.tenant)

    def action_fold(self) -> None:
        """Hide them, and go to the tenant."""
        if not self._by_tenant or (row := self.current) is None:
            return
        tenant = row.tenant if isinstance(row, TenantRow) else row.status.tenant
        self._opened.discard(tenant)
        self.sort_again()
        for number, each in enumerate(self.rows):
            if isinstance(each, TenantRow) and each.tenant == tenant:
                self.move_to(number)

    def turn_tenant(self) -> bool:
        """Show or hide the instances of the tenant with the cursor; whether it is on one."""
        if isinstance(row := self.current, TenantRow):
            if row.is_open:
                self.action_fold()
            else:
                self.action_unfold()
            return True
        return False
