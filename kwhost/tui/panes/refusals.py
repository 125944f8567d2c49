"""Which rules refused what, by what was told of it since this program was started."""

from collections.abc import Iterable
from typing import NamedTuple

from kwhost.core.model.events import Event, EventKind
from kwhost.tui.format import amount
from kwhost.tui.widgets.table import Cell, Column, Tone

__all__ = ["REFUSAL_COLUMNS", "Refusal", "count_refusals"]

_REFUSING = (EventKind.DENIED, EventKind.KILLED)
_WORDS = ("call", "object", "rule", "layer")


class Refusal(NamedTuple):
    """`call` on `object` ("": none) was refused `times`, the last at event `newest`, by the rule `rule` of
    `layer`; without a rule it was the monitor."""

    kind: EventKind
    call: str
    object: str
    rule: str
    layer: str
    times: int = 0
    newest: int = 0

    @property
    def key(self) -> tuple[EventKind, str, str, str, str]:
        """What stays the same when it happens again."""
        return self[:5]


def _times(event: Event) -> int:
    """An event with a count is of so many more calls like one that was told before."""
    count = event.data.get("count", "1")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 16 else 1


def count_refusals(events: Iterable[Event]) -> list[Refusal]:
    """One for each call, object and rule."""
    found: dict[object, Refusal] = {}
    for event in events:
        if event.kind in _REFUSING:
            call, what, rule, layer = (event.data.get(name, "") for name in _WORDS)
            refusal = Refusal(event.kind, call, what, rule, layer)
            times = found.get(refusal.key, refusal).times + _times(event)
            found[refusal.key] = refusal._replace(times=times, newest=event.seq)
    return list(found.values())


def _rule(row: Refusal) -> Cell:
    if not row.rule:
        return Cell("the monitor", Tone.DIM)
    return Cell(f'"{row.rule}" of {row.layer}', Tone.ACCENT)


REFUSAL_COLUMNS: list[Column[Refusal]] = [
    Column("refused", 7, lambda row: Cell(row.kind.value, Tone.BAD), lambda row: row.kind.value),
    Column("what", 0, lambda row: f"{row.call or '?'} {row.object}", lambda row: (row.call, row.object)),
    Column("by", 36, _rule, lambda row: (row.layer, row.rule)),
    Column(
        "times",
        6,
        lambda row: Cell(amount(row.times), Tone.BAD),
        lambda row: row.times,
        right=True,
        descending=True,
    ),
]
