"""Everything at once: quotas of tenants, and every instance."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Input

from kwhost.tui.filters import matcher
from kwhost.tui.fleet import Row
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.messages import Control, OpenConsole, OpenInstance, OpenLogs, OpenStart
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.widgets.header import Quotas
from kwhost.tui.widgets.instances import InstanceTable
from kwhost.tui.widgets.table import RowTable

__all__ = ["Overview"]


class Overview(HostScreen):
    """The first screen."""

    DEFAULT_CSS = """
    Overview #filter { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    Overview InstanceTable { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("overview")

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._filter = ""
        self._quotas = Quotas()
        self.table = InstanceTable(host.clock)

    def content(self) -> Iterable[Widget]:
        """Quotas, the filter, the table."""
        yield self._quotas
        yield Input(id="filter", placeholder="web   !state:exited   tenant:acme   ~wb1", compact=True)
        yield self.table

    def on_mount(self) -> None:
        """Keys are the table's."""
        super().on_mount()
        self.set_focus(self.table)

    def show_state(self) -> None:
        """Show what has changed."""
        if not self.ready:
            return
        super().show_state()
        self._quotas.show(self.host.tenants)
        self.table.show_columns(self.host.columns)
        self._show_rows()

    def _show_rows(self) -> None:
        fits = matcher(self._filter)
        self.table.show_instances(row for row in self.host.fleet.rows() if fits(row))

    # --- the filter

    def action_filter(self) -> None:
        """Type one."""
        line = self.query_one("#filter", Input)
        line.display = True  # at once: what is hidden cannot have the focus
        self.set_focus(line)

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._filter = event.value
        self._show_rows()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.query_one("#filter").display = bool(self._filter)
        self.set_focus(self.table)

    def action_clear(self) -> None:
        """Leave the filter's line, then forget marks, then the filter."""
        line = self.query_one("#filter", Input)
        if line.has_focus:
            self._filter_done()
        elif self.table.marked:
            self.table.marked.clear()
            self.table.refresh()
        else:
            line.value = ""
            line.display = False

    # --- instances

    def action_mark(self) -> None:
        """Mark the one with the cursor."""
        self.table.mark()

    def action_mark_all(self) -> None:
        """Mark all that are shown."""
        self.table.mark_all()

    def action_control(self, action: str) -> None:
        """Do it with all that are marked."""
        self.post_message(Control(action, self.table.chosen_instances))

    def action_open(self, tab: str) -> None:
        """Show the instance with the cursor, or a tenant's."""
        if not self.table.turn_tenant() and (row := self._current) is not None:
            self.post_message(OpenInstance(row.key, tab))

    def action_several(self) -> None:
        """Show the logs of all that are marked."""
        if rows := self.table.chosen_instances:
            self.post_message(OpenLogs(rows))

    @on(RowTable.Chosen)
    def _chosen(self) -> None:
        self.action_open("logs")

    def action_console(self, kind: str) -> None:
        """A terminal in it."""
        if (row := self._current) is not None:
            self.post_message(OpenConsole(kind, row.name))

    def action_command(self) -> None:
        """A program in it."""
        if (row := self._current) is not None:
            from kwhost.tui.screens.commands import ask_command  # not for the first picture

            ask_command(self, row.name)

    def action_new(self) -> None:
        """Another instance, of the same tenant perhaps."""
        row, tenants = self._current, self.host.tenants
        self.post_message(OpenStart(row.status.tenant if row else tenants[0].name if tenants else "default"))

    @property
    def _current(self) -> Row | None:
        return self.table.instance
