"""The logs of several instances in one, in the order of time."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from kwhost.core.model.text import clean
from kwhost.tui.fleet import Row
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.panes.log_reader import LogReader, Source
from kwhost.tui.screens.base import HostScreen

__all__ = ["LOGS_MAX", "LogsScreen"]

# At once: each is a connection to the daemon.
LOGS_MAX = 16


class LogsScreen(HostScreen):
    """Follows the logs of `rows`."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("several")

    def __init__(self, host: Host, rows: Sequence[Row]) -> None:
        super().__init__(host)
        names: list[str] = [row.status.name for row in rows]
        if len(set(names)) < len(names):
            names = [row.name for row in rows]
        sources = [Source(row.key, clean(name)) for row, name in zip(rows, names, strict=True)]
        self._reader = LogReader(host, sources)

    def content(self) -> Iterable[Widget]:
        """Nothing else."""
        yield self._reader

    def on_mount(self) -> None:
        """Begin to read."""
        super().on_mount()
        self._reader.take_focus()
        self.run_worker(self._reader.follow())

    def show_state(self) -> None:
        """Show what has changed."""
        if self.ready:
            super().show_state()
            self._reader.show_state()

    def action_back(self) -> None:
        """To the overview."""
        self.dismiss()
