"""The table of instances: its columns."""

from collections.abc import Callable

from kwhost.core.model.status import Health, InstanceState
from kwhost.tui.fleet import Row
from kwhost.tui.format import age, flow, percent, rate, size, sparkline
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

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
        Column("name", 0, lambda row: row.status.name, lambda row: row.status.name),
        Column("state", 11, _state, lambda row: row.status.state.value),
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
            lambda row: rate(row.calls),
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


class InstanceTable(RowTable[Row]):
    """Instances, by tenant and name at first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(
            instance_columns(clock),
            lambda row: row.key,
            sort="tenant",
            empty="No instances. kwhost run -d -- COMMAND starts one, kwhost up CONFIG hosts a file's.",
            id="instances",
        )
