"""The instance's policy: every rule of every layer, and how often each one decided."""

import asyncio
from typing import NamedTuple

from textual.app import ComposeResult
from textual.widgets import Static

from kwhost.core.model.ids import InstanceId
from kwhost.core.model.policy_views import PolicyView, RuleView
from kwhost.core.model.text import clean
from kwhost.tui.format import amount
from kwhost.tui.host import Host
from kwhost.tui.panes.choosing import ChoosingPane
from kwhost.tui.records import read
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["PolicyPane"]

_SECONDS = 2.0


class _Rule(NamedTuple):
    number: int
    layer: str
    rule: RuleView


def _count(value: int | None, tone: Tone) -> Cell:
    return Cell("-" if value is None else amount(value), tone if value else Tone.DIM)


def _action(row: _Rule) -> Cell:
    word = row.rule.text.partition(" ")[0]
    tones = {"allow": Tone.GOOD, "log": Tone.ACCENT, "ask": Tone.WARNING, "kill": Tone.BAD}
    return Cell(
        row.rule.text, tones.get(word, Tone.BAD if word.startswith(("errno", "deny")) else Tone.PLAIN)
    )


_COLUMNS: list[Column[_Rule]] = [
    Column("layer", 16, lambda row: Cell(row.layer, Tone.DIM), lambda row: row.number),
    Column("rule", 0, _action, lambda row: row.rule.text),
    Column(
        "hits",
        7,
        lambda row: _count(row.rule.hits, Tone.ACCENT),
        lambda row: row.rule.hits or 0,
        right=True,
        descending=True,
    ),
    Column(
        "denied",
        7,
        lambda row: _count(row.rule.denied, Tone.BAD),
        lambda row: row.rule.denied or 0,
        right=True,
        descending=True,
    ),
    Column("from", 30, lambda row: Cell(f"{row.rule.policy} ({row.rule.where})", Tone.DIM), rank=1),
]


class PolicyPane(ChoosingPane):
    """Rules in the order in which they decide; hits are for verdicts other than plain permission."""

    DEFAULT_CSS = """
    PolicyPane RowTable { height: 1fr; }
    PolicyPane #layers { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap; }
    """

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._layers = Static("", id="layers", markup=False)
        self._table = RowTable[_Rule](
            _COLUMNS, lambda row: row.number, sort="layer", empty="No rules.", id="rule-table"
        )
        self._wanted: tuple[str, str] | None = None

    def compose(self) -> ComposeResult:
        """The rules, below the layers that they are of."""
        yield self._layers
        yield self._table

    async def follow(self) -> None:
        """Read it again every two seconds."""
        while True:
            self._show(read(await self.ask("policy"), PolicyView))
            await asyncio.sleep(_SECONDS)

    def _show(self, view: PolicyView) -> None:
        rules = [(layer.name, rule) for layer in view.layers for rule in layer.rules]
        rows = [_Rule(number, layer, rule) for number, (layer, rule) in enumerate(rules)]
        self._table.set_rows(rows)
        self._find_wanted()
        layers = "   ".join(f"{layer.name}: {layer.policy}" for layer in view.layers)
        self._layers.update(clean(f"The strictest layer decides.   {layers}"))

    def call_at_cursor(self) -> str | None:
        """See ChoosingPane."""
        row = self._table.current
        return row.rule.call if row else None

    def show_rule(self, layer: str, text: str) -> None:
        """Put the cursor on a rule, once it is known."""
        self._wanted = (layer, text)

    def _find_wanted(self) -> None:
        if self._wanted is None:
            return
        wanted, self._wanted = self._wanted, None
        rules = [(row.layer, row.rule.text) for row in self._table.rows]
        if wanted in rules:
            self._table.move_to(rules.index(wanted))
        else:
            self.notify(f'"{clean(wanted[1])}" is not among the rules any more.', markup=False)
