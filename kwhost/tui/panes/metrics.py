"""What the instance uses, over time."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid
from textual.content import Content
from textual.widgets import Static

from kwhost.core.errors import KwhostError
from kwhost.core.model.history import History, Sample
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.text import clean
from kwhost.tui.chart import Point, buckets, rates
from kwhost.tui.fleet import HISTORY, Row
from kwhost.tui.format import percent, rate, size
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.panes.base import Pane
from kwhost.tui.records import read
from kwhost.tui.widgets.chart import Chart

__all__ = ["MetricsPane"]

_READ_SECONDS = 10.0
# Of the daemon's samples: it may have been busy.
_LATE = 3.0
_ONE_COLUMN = 60


class _Figure(NamedTuple):
    """What a chart is of: `recent` is each second's, `counter` what the daemon remembers, of which a rate is
    drawn if `grows`, times `factor`. The scale reaches at least to `least`."""

    title: str
    shown: Callable[[float], str]
    recent: Callable[[Row], Sequence[float]]
    counter: Callable[[Sample], float | None]
    grows: bool = True
    factor: float = 1.0
    least: float = 1.0


_FIGURES = (
    _Figure(
        "cpu", lambda value: f"{percent(value)}%", lambda row: row.cpu_history,
        lambda sample: sample.cpu_seconds, factor=100.0, least=5.0,
    ),
    _Figure(
        "memory", size, lambda row: row.memory_history, lambda sample: sample.memory, grows=False,
        least=float(1 << 20),
    ),
    _Figure("calls/s", rate, lambda row: row.call_history, lambda sample: sample.calls),
    _Figure("denied/s", rate, lambda row: row.denied_history, lambda sample: sample.refused),
    _Figure(
        "received/s", size, lambda row: () if row.received is None else row.received_history,
        lambda sample: sample.received_bytes, least=1024.0,
    ),
    _Figure(
        "sent/s", size, lambda row: () if row.sent is None else row.sent_history,
        lambda sample: sample.sent_bytes, least=1024.0,
    ),
)  # fmt: skip
# The first is what this program has seen itself.
_SPANS = ((HISTORY, "2 min"), (600, "10 min"), (3600, "1 h"), (6 * 3600, "6 h"))


class MetricsPane(Pane, can_focus=True):
    """Six charts; the last two minutes are those since the start of this program, longer times are the
    daemon's."""

    DEFAULT_CSS = """
    MetricsPane Grid { grid-size: 2 3; height: 1fr; }
    MetricsPane.-narrow Grid { grid-size: 1 6; }
    MetricsPane #metrics-state { height: 1; padding: 0 1; background: $panel; color: $muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("metrics")

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._charts = [Chart(figure.title, figure.shown, figure.least) for figure in _FIGURES]
        self._state = Static("", id="metrics-state", markup=False)
        self._span = 0
        self._history = History(seconds=_READ_SECONDS)
        self._trouble = ""

    def compose(self) -> ComposeResult:
        """The charts, and which time they are of."""
        with Grid():
            yield from self._charts
        yield self._state

    def take_focus(self) -> None:
        """The charts have the keys."""
        self.screen.set_focus(self)

    async def follow(self) -> None:
        """What the daemon remembers, again and again."""
        while True:
            try:
                self._history = read(await self.ask("history"), History)
                self._trouble = ""
            except KwhostError as error:
                self._trouble = clean(str(error))
            self.show_state()
            await asyncio.sleep(_READ_SECONDS)

    def on_resize(self) -> None:
        """There is more room, or less."""
        self.set_class(self.size.width < _ONE_COLUMN, "-narrow")
        self.call_after_refresh(self.show_state)

    def show_state(self) -> None:
        """A second has gone by."""
        seconds, name = _SPANS[self._span]
        row = self.host.fleet.row(self.instance)
        for figure, chart in zip(_FIGURES, self._charts, strict=True):
            if self._span == 0:
                values = _recent(figure.recent(row) if row else (), chart.columns)
            else:
                values = self._remembered(figure, seconds, chart.columns)
            chart.show(values, name)
        self._state.update(self._told())

    def _told(self) -> Content:
        seconds, name = _SPANS[self._span]
        parts = [("the last ", ""), (name, "bold $accent"), ("   + longer, - shorter", "")]
        samples = self._history.samples
        if self._span and self._trouble:
            parts.append((f"   {self._trouble}", "$warning"))
        elif self._span and (not samples or samples[0].time > self.host.clock() - seconds):
            parts.append(("   the daemon remembers no more", ""))
        return Content.assemble(*parts)

    def _remembered(self, figure: _Figure, seconds: float, columns: int) -> list[float | None]:
        now = self.host.clock()
        counters = [(sample.time, figure.counter(sample)) for sample in self._history.samples]
        step = self._history.seconds
        points = rates(counters, step * _LATE) if figure.grows else _known(counters)
        scaled = (point._replace(value=point.value * figure.factor) for point in points)
        return buckets(scaled, now - seconds, now, columns, step)

    def action_span(self, step: int) -> None:
        """A longer time, or a shorter one."""
        self._span = min(len(_SPANS) - 1, max(0, self._span + step))
        self.show_state()


def _known(values: Iterable[tuple[float, float | None]]) -> list[Point]:
    return [Point(time, value) for time, value in values if value is not None]


def _recent(values: Sequence[float], columns: int) -> list[float | None]:
    """Of each second one; the newest is now."""
    last = values[-HISTORY:]
    points = (Point(float(place), value) for place, value in enumerate(last, HISTORY - len(last) + 1))
    return buckets(points, 0.0, float(HISTORY), columns, 1.0)
