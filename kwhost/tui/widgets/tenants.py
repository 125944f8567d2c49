"""What a tenant's row shows in the columns of instances."""

from collections.abc import Callable, Sequence
from typing import Any

from kwhost.tui.fleet import Row
from kwhost.tui.format import flow, percent, rate, size
from kwhost.tui.tenants import Shown, TenantRow
from kwhost.tui.widgets.table import Cell, Column, Tone

__all__ = ["with_tenants", "without_tenants"]


def _name(row: TenantRow) -> Cell:
    return Cell(f"{len(row.rows)} instance{'s' if len(row.rows) > 1 else ''}")


def _health(row: TenantRow) -> Cell:
    return Cell(f"{row.unhealthy} bad" if row.unhealthy else "", Tone.BAD)


def _denied(row: TenantRow) -> Cell:
    denied = row.total("denied")
    return Cell(rate(denied), Tone.BAD if denied else Tone.DIM)


# By the titles of columns; in others nothing stands.
_CELLS: dict[str, Callable[[TenantRow], Cell]] = {
    "tenant": lambda row: Cell(f"{'▾' if row.is_open else '▸'} {row.tenant}", Tone.ACCENT),
    "name": _name,
    "state": lambda row: Cell(f"{row.running} running", Tone.GOOD if row.running else Tone.DIM),
    "health": _health,
    "cpu%": lambda row: Cell(percent(row.total("cpu"))),
    "memory": lambda row: Cell(size(row.memory)),
    "calls/s": lambda row: Cell(rate(row.total("calls"))),
    "denied/s": _denied,
    "network/s": lambda row: Cell(flow(row.total("received"), row.total("sent"))),
    "restarts": lambda row: Cell(str(row.restarts), Tone.WARNING if row.restarts else Tone.DIM),
}
# By other columns tenants are in the order of their names.
_ORDERS: dict[str, Callable[[TenantRow], float]] = {
    "cpu%": lambda row: row.total("cpu"),
    "memory": lambda row: row.memory,
    "calls/s": lambda row: row.total("calls"),
    "denied/s": lambda row: row.total("denied"),
    "network/s": lambda row: row.total("received") + row.total("sent"),
    "restarts": lambda row: row.restarts,
}


def with_tenants(columns: Sequence[Column[Row]]) -> list[Column[Shown]]:
    """The same, with what tenants show in them."""
    return [_lift(column, _CELLS.get(column.title), _ORDERS.get(column.title)) for column in columns]


def without_tenants(columns: Sequence[Column[Row]]) -> list[Column[Shown]]:
    """The same, with nothing in tenants' rows, whatever the columns are called."""
    return [_lift(column, None, None) for column in columns]


def _lift(
    column: Column[Row],
    tenant_cell: Callable[[TenantRow], Cell] | None,
    tenant_order: Callable[[TenantRow], float] | None,
) -> Column[Shown]:
    order = column.order

    def place(row: Shown) -> Any:
        if isinstance(row, TenantRow):
            return tenant_order(row) if tenant_order else row.tenant
        return order(row) if order else None

    def cell(row: Shown) -> Cell | str:
        if isinstance(row, TenantRow):
            return tenant_cell(row) if tenant_cell else ""
        return column.cell(row)

    return Column(
        column.title, column.width, cell, place if order else None,
        right=column.right, rank=column.rank, descending=column.descending,
    )  # fmt: skip
