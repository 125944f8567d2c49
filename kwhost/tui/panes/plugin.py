"""A tab of a plugin."""

import asyncio
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Static

from kwhost.core.errors import KwhostError
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.text import clean
from kwhost.hookspecs import DEADLINE_SECONDS, TuiColumn, TuiPanel, TuiSource
from kwhost.tui.host import Host
from kwhost.tui.panels import PanelRow, read_rows
from kwhost.tui.panes.base import Pane
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["PluginPane"]

_SECONDS = 2.0
_TEXT_MAX = 200

_Row = tuple[int, PanelRow]


class PluginPane(Pane):
    """The rows of its panel, for as long as the plugin answers; a fault is one line above them."""

    DEFAULT_CSS = """
    PluginPane RowTable { height: 1fr; }
    PluginPane Static { display: none; height: auto; max-height: 3; padding: 0 1; color: $error; }
    PluginPane Static.-failed { display: block; }
    """

    def __init__(self, host: Host, instance: InstanceId, panel: TuiPanel) -> None:
        super().__init__(host, instance)
        self._panel = panel
        self._trouble = Static("", markup=False)
        self._table = RowTable[_Row](
            [_column(place, column) for place, column in enumerate(panel.columns)],
            lambda row: row[0],
            empty="Nothing to show.",
        )

    def compose(self) -> ComposeResult:
        """A table."""
        yield self._trouble
        yield self._table

    async def follow(self) -> None:
        """Ask again and again. A plugin that fails is asked again when the tab is shown again."""
        self._trouble.set_class(False, "-failed")  # noqa: FBT003 - Textual's own interface
        while True:
            row = self.host.fleet.row(self.instance)
            if row and self.host.info:
                info = self.host.info
                source = TuiSource(
                    socket=self.host.client.path, run_dir=Path(info.run_dir), instance=row.status
                )
                try:
                    rows = await read_rows(self._panel, source, DEADLINE_SECONDS)
                except KwhostError as error:
                    self._trouble.update(clean(str(error)))
                    self._trouble.add_class("-failed")
                    return
                self._table.set_rows(enumerate(rows))
            await asyncio.sleep(_SECONDS)


def _column(place: int, column: TuiColumn) -> Column[_Row]:
    def cell(row: _Row) -> Cell:
        text, tone = row[1][place]
        return Cell(text[:_TEXT_MAX], Tone(tone.value))

    return Column(column.title, column.width, cell, lambda row: row[1][place].text, right=column.right)
