"""The instance's system calls, live, and which rules refused."""

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from kwhost.core.api.types import CallUse, StatsAnswer
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.text import clean
from kwhost.tui.format import amount, bar, rate
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.latency import PLACES, added, axis, grown, latency, quantile, skyline
from kwhost.tui.messages import OpenRule
from kwhost.tui.panes.choosing import ChoosingPane
from kwhost.tui.panes.refusals import REFUSAL_COLUMNS, Refusal, count_refusals
from kwhost.tui.records import read
from kwhost.tui.widgets.cells import fit
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["CallRow", "CallsPane", "call_rows"]

_SECONDS = 1.0
_PARTIAL = "Calls that the filter asked about; without a virtual machine nobody counts the others."
_BAR = 14
# So many lines and columns or more leave room for more; with fewer lines than this the table needs them all.
_TALL, _WIDE = 20, 132
_SHORT = 14


class CallRow(NamedTuple):
    """One call since the start, and of the last second: `rate` and `denied` a second; how long calls took,
    in seconds, of the last second's, else of all: their mean, half of them (`p50`), 99 of 100."""

    use: CallUse
    rate: float
    denied: float
    mean: float | None
    p50: float | None
    p99: float | None
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
    rows = []
    for n, (use, was) in enumerate(pairs):
        recent = grown(use.histogram, was.histogram)
        taken = recent if any(recent) else use.histogram
        p50, p99 = quantile(taken, 0.5), quantile(taken, 0.99)
        rows.append(CallRow(use, rates[n], denied[n], _mean(use, was), p50, p99, rates[n] / highest))
    return rows


def _right(title: str, width: int, cell: Callable[[CallRow], Cell | str], order: Callable[[CallRow], float],
           rank: int = 0) -> Column[CallRow]:  # fmt: skip
    return Column(title, width, cell, order, right=True, rank=rank, descending=True)


def _count(value: int, tone: Tone) -> Cell:
    return Cell(amount(value), tone if value else Tone.DIM)


_COLUMNS: list[Column[CallRow]] = [
    Column("call", 0, lambda row: row.use.name, lambda row: row.use.name),
    _right("calls/s", 8, lambda row: rate(row.rate), lambda row: row.rate),
    Column("", _BAR, lambda row: Cell(bar(row.share, _BAR), Tone.ACCENT), rank=2),
    _right("mean", 8, lambda row: latency(row.mean), lambda row: row.mean or 0.0),
    _right("p50", 8, lambda row: latency(row.p50), lambda row: row.p50 or 0.0, rank=2),
    _right("p99", 8, lambda row: latency(row.p99), lambda row: row.p99 or 0.0),
    _right(
        "denied/s",
        8,
        lambda row: Cell(rate(row.denied), Tone.BAD if row.denied else Tone.DIM),
        lambda row: row.denied,
    ),
    _right("calls", 6, lambda row: amount(row.use.calls), lambda row: row.use.calls),
    _right("failed", 6, lambda row: _count(row.use.failed, Tone.PLAIN), lambda row: row.use.failed, rank=1),
    _right("denied", 6, lambda row: _count(row.use.refused, Tone.BAD), lambda row: row.use.refused),
]


class CallsPane(ChoosingPane):
    """Measures once a second."""

    DEFAULT_CSS = """
    CallsPane RowTable { height: 1fr; }
    CallsPane #latency {
        height: auto; padding: 0 1; background: $surface; text-wrap: nowrap; text-overflow: clip;
    }
    CallsPane.short #latency { display: none; }
    CallsPane #scope { height: 1; padding: 0 1; background: $panel; color: $warning; display: none; }
    CallsPane #scope.partial { display: block; }
    CallsPane #refusal-table { height: 4; }
    CallsPane.tall #refusal-table { height: 8; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("calls")

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
        self._refusals = RowTable[Refusal](
            REFUSAL_COLUMNS,
            lambda row: row.key,
            sort="times",
            empty="No rule has refused a call yet.",
            id="refusal-table",
        )

    def compose(self) -> ComposeResult:
        """The calls, how long they take, what was refused."""
        yield Static(_PARTIAL, id="scope", markup=False)
        yield self._table
        yield self._latency
        yield self._refusals

    async def follow(self) -> None:
        """Measure."""
        loop = asyncio.get_running_loop()
        before: Sequence[CallUse] = ()
        time = loop.time()
        while True:
            counted = read(await self.ask("stats"), StatsAnswer).counted
            now = counted.calls if counted else ()
            self.query_one("#scope").set_class(bool(counted and counted.notified_only), "partial")
            self._table.set_rows(call_rows(now, before, max(0.1, loop.time() - time)))
            self._show_latencies()
            before, time = now, loop.time()
            await asyncio.sleep(_SECONDS)

    def on_resize(self, event: events.Resize) -> None:
        """There is more room, or less."""
        self.set_class(event.size.height >= _TALL, "tall")
        self.set_class(event.size.height < _SHORT, "short")
        # Within a layout another one cannot be asked for.
        self.call_after_refresh(self._show_latencies)

    def on_row_table_highlighted(self) -> None:
        """Another call has the cursor."""
        self._show_latencies()

    def _show_latencies(self) -> None:
        """Of the call with the cursor, and of all, since the instance's start."""
        height, step = (3, 2) if self.has_class("tall") and self.size.width >= _WIDE else (2, 1)
        row = self._table.current
        parts = [
            ("all", added(each.use.histogram for each in self._table.rows), "$muted"),
            (row.use.name if row else "", row.use.histogram if row else (), "$accent"),
        ]
        width = PLACES * step
        titles, lines = Content(""), [Content("") for _ in range(height)]
        for name, histogram, colour in reversed(parts):
            p50, p99 = quantile(histogram, 0.5), quantile(histogram, 0.99)
            title = fit(f"{clean(name)}  p50 {latency(p50)}  p99 {latency(p99)}", width)
            titles += Content.assemble((title, colour), "    ")
            for n, line in enumerate(skyline(histogram, height, step)):
                lines[n] += Content.assemble((line, colour), "    ")
        scale = Content.styled(f"{axis(step)}    {axis(step)}", "$muted")
        self._latency.update(Content("\n").join([titles, *lines, scale]))

    def show_state(self) -> None:
        """What rules refused, since this program was started."""
        mine = (event for event in self.host.events if event.instance == self.instance)
        self._refusals.set_rows(count_refusals(mine))

    def action_other_table(self) -> None:
        """Give the keys to the other table."""
        (self._table if self._refusals.has_focus else self._refusals).focus()

    def _refusal(self) -> Refusal | None:
        """The one with the cursor, or that of the call with the cursor which is told most often."""
        if self._refusals.has_focus:
            return self._refusals.current
        row = self._table.current
        found = [each for each in self._refusals.rows if row and each.call == row.use.name]
        return max(found, key=lambda each: each.times, default=None)

    def call_at_cursor(self) -> str | None:
        """See ChoosingPane."""
        if self._refusals.has_focus:
            refusal = self._refusals.current
            return refusal.call or None if refusal else None
        row = self._table.current
        return row.use.name if row else None

    def action_open_rule(self) -> None:
        """Show the rule that refused it."""
        refusal = self._refusal()
        if refusal and refusal.rule:
            self.post_message(OpenRule(refusal.layer, refusal.rule))
            return
        why = "the monitor itself refused it" if refusal else "nothing was told of a rule that refused it"
        self.notify(f"No rule to show: {why}.", markup=False)

    def on_row_table_chosen(self) -> None:
        """As enter."""
        self.action_open_rule()
