"""The instance's system calls, live, and which rules refused."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from kwhost.core.api.types import CallUse, StatsAnswer
from kwhost.core.model.events import Event, EventKind
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.text import clean
from kwhost.tui.format import amount, bar, rate
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.records import read
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["CallRow", "CallsPane", "call_rows", "latency_classes"]

_SECONDS = 1.0
_BAR = 14
# Upper ends of the classes, in seconds; the last has none.
_CLASSES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_CLASS_NAMES = ("<1µs", "<10µs", "<100µs", "<1ms", "<10ms", "<100ms", "more")


class CallRow(NamedTuple):
    """One call since the start, and of the last second: `rate`, `denied` and mean `latency` in seconds."""

    use: CallUse
    rate: float
    denied: float
    latency: float | None
    share: float


def _mean(now: CallUse, before: CallUse) -> float | None:
    """Of the last second's calls, else of all."""
    if now.calls > before.calls:
        return (now.seconds - before.seconds) / (now.calls - before.calls)
    return now.seconds / now.calls if now.calls else None


def call_rows(now: Sequence[CallUse], before: Sequence[CallUse], seconds: float) -> list[CallRow]:
    """What was measured twice; the busiest call has the share 1."""
    old = {use.number: use for use in before}
    zero = CallUse(number=-1, name="", calls=0, failed=0, refused=0, seconds=0.0)
    # Of the first measurement there is no rate; a call that is new in a later one began at zero.
    pairs = [(use, old.get(use.number, zero if before else use)) for use in now]
    rates = [max(0, use.calls - was.calls) / seconds for use, was in pairs]
    denied = [max(0, use.refused - was.refused) / seconds for use, was in pairs]
    highest = max(rates, default=0.0) or 1.0
    return [
        CallRow(use, rates[n], denied[n], _mean(use, was), rates[n] / highest)
        for n, (use, was) in enumerate(pairs)
    ]


def latency_classes(rows: Sequence[CallRow]) -> list[float]:
    """How many calls a second fall into each class of mean latency."""
    classes = [0.0] * len(_CLASS_NAMES)
    for row in rows:
        if row.latency is not None:
            place = next((n for n, end in enumerate(_CLASSES) if row.latency < end), len(_CLASSES))
            classes[place] += row.rate
    return classes


def _latency(row: CallRow) -> str:
    if row.latency is None:
        return "-"
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if row.latency * factor < 999.5:
            return f"{row.latency * factor:.1f} {unit}"
    return f"{row.latency:.1f} s"


_COLUMNS: list[Column[CallRow]] = [
    Column("call", 0, lambda row: row.use.name, lambda row: row.use.name),
    Column("calls/s", 8, lambda row: rate(row.rate), lambda row: row.rate, right=True, descending=True),
    Column("", _BAR, lambda row: Cell(bar(row.share, _BAR), Tone.ACCENT), rank=2),
    Column("mean", 9, _latency, lambda row: row.latency or 0.0, right=True, descending=True),
    Column(
        "denied/s",
        8,
        lambda row: Cell(rate(row.denied), Tone.BAD if row.denied else Tone.DIM),
        lambda row: row.denied,
        right=True,
        descending=True,
    ),
    Column(
        "calls", 8, lambda row: amount(row.use.calls), lambda row: row.use.calls, right=True, descending=True
    ),
    Column(
        "failed",
        7,
        lambda row: Cell(amount(row.use.failed), Tone.DIM),
        lambda row: row.use.failed,
        right=True,
        rank=1,
        descending=True,
    ),
    Column(
        "denied",
        7,
        lambda row: Cell(amount(row.use.refused), Tone.BAD if row.use.refused else Tone.DIM),
        lambda row: row.use.refused,
        right=True,
        descending=True,
    ),
]
_REFUSING = (EventKind.DENIED, EventKind.KILLED)


class CallsPane(Pane):
    """Measures once a second."""

    DEFAULT_CSS = """
    CallsPane RowTable { height: 1fr; }
    CallsPane #latency { height: 2; padding: 0 1; background: $surface; text-wrap: nowrap; }
    CallsPane #refused {
        height: auto; max-height: 6; padding: 0 1; background: $surface; border-top: solid $panel;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._table = RowTable[CallRow](
            _COLUMNS,
            lambda row: row.use.number,
            sort="calls/s",
            empty="Nothing is counted yet.",
            id="call-table",
        )
        self._latency = Static("", id="latency", markup=False)
        self._refused = Static("", id="refused", markup=False)

    def compose(self) -> ComposeResult:
        """The calls, their latencies, the last refusals."""
        yield self._table
        yield self._latency
        yield self._refused

    def take_focus(self) -> None:
        """The table has the keys."""
        self._table.focus()

    async def follow(self) -> None:
        """Measure."""
        loop = asyncio.get_running_loop()
        before: Sequence[CallUse] = ()
        time = loop.time()
        while True:
            counted = read(await self.ask("stats"), StatsAnswer).counted
            now = counted.calls if counted else ()
            self._show(call_rows(now, before, max(0.1, loop.time() - time)))
            before, time = now, loop.time()
            await asyncio.sleep(_SECONDS)

    def _show(self, rows: Sequence[CallRow]) -> None:
        self._table.set_rows(rows)
        classes = latency_classes(rows)
        highest = max(classes) or 1.0
        bars = [
            Content.assemble((f"{name:>7} ", "$muted"), (bar(value / highest, 5), "$accent on $panel"))
            for name, value in zip(_CLASS_NAMES, classes, strict=True)
        ]
        title = Content.styled("calls a second by their call's mean latency", "$muted")
        self._latency.update(Content("\n").join([title, Content(" ").join(bars)]))

    def show_state(self) -> None:
        """What rules refused most, since this program was started."""
        refused = [
            event for event in self.host.events if event.instance == self.instance and event.kind in _REFUSING
        ]
        counted = Counter(_refusal(event) for event in refused)
        lines = [
            Content.assemble(
                (f"{kind} ", "bold $error"), call, ("  by ", "$muted"), (rule, "$accent"),
                (f"  {number} events" if number > 1 else "", "$muted"),
            )
            for (kind, call, rule), number in counted.most_common(5)
        ]  # fmt: skip
        text = (
            Content("\n").join(lines) if lines else Content.styled("no rule has refused a call yet", "$muted")
        )
        self._refused.update(text)


def _refusal(event: Event) -> tuple[str, str, str]:
    data = event.data
    call = clean(f"{data.get('call', '?')} {data.get('object', '')}")
    rule = f'"{data["rule"]}" of {data.get("layer", "?")}' if "rule" in data else "the monitor"
    return event.kind.value, call, clean(rule)
