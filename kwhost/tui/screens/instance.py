"""One instance: what it writes, calls, may do, is connected with, runs, uses, has and was asked to be."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar, NamedTuple

from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static, TabPane

from kwhost.core.model.floors import engine_label
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.instance import Isolation
from kwhost.core.model.text import clean
from kwhost.tui.fleet import Row, call_rate
from kwhost.tui.format import age, percent, rate, size, sparkline
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.messages import Control, OpenConsole, OpenRule
from kwhost.tui.panes.base import Pane
from kwhost.tui.panes.calls import CallsPane
from kwhost.tui.panes.configuration import ConfigurationPane
from kwhost.tui.panes.events import EventsPane
from kwhost.tui.panes.logs import LogsPane
from kwhost.tui.panes.memory import MemoryPane
from kwhost.tui.panes.metrics import MetricsPane
from kwhost.tui.panes.network import NetworkPane
from kwhost.tui.panes.policy import PolicyPane
from kwhost.tui.panes.processes import ProcessesPane
from kwhost.tui.panes.storage import StoragePane
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.screens.commands import ask_command, ask_port
from kwhost.tui.widgets.tabs import SteadyTabs

__all__ = ["InstanceScreen", "Tab", "panes"]


class Tab(NamedTuple):
    """`make` gives what is in it."""

    name: str
    title: str
    make: Callable[[Host, InstanceId], Pane]


_PANES = (
    Tab("logs", "Logs", LogsPane),
    Tab("calls", "System calls", CallsPane),
    Tab("policy", "Policy", PolicyPane),
    Tab("network", "Network", NetworkPane),
    Tab("events", "Events", EventsPane),
    Tab("processes", "Processes", ProcessesPane),
    Tab("memory", "Memory", MemoryPane),
    Tab("storage", "Storage", StoragePane),
    Tab("metrics", "Metrics", MetricsPane),
    Tab("configuration", "Configuration", ConfigurationPane),
)


def panes(host: Host) -> list[Tab]:
    """Our own tabs, then those of plugins."""
    if not host.panels:
        return list(_PANES)
    from kwhost.tui.panes.plugin import PluginPane  # brings what plugins import

    of_plugins = (
        Tab(f"plugin-{panel.name}", panel.title, partial(PluginPane, panel=panel)) for panel in host.panels
    )
    return [*_PANES, *of_plugins]


# The length of lines of blocks, and that on narrow screens.
_SPARK, _SHORT_SPARK, _NARROW = 24, 4, 120


class InstanceScreen(HostScreen):
    """Shows the instance `id_`, at first the tab `tab`."""

    DEFAULT_CSS = """
    InstanceScreen #summary {
        height: 2; padding: 0 1; background: $surface; text-wrap: nowrap; text-overflow: ellipsis;
    }
    InstanceScreen TabbedContent { height: 1fr; }
    InstanceScreen TabPane { padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("instance")

    def __init__(self, host: Host, id_: InstanceId, tab: str) -> None:
        super().__init__(host)
        self._instance = id_
        self._tab = tab
        self._tabs = panes(host)
        self._summary = Static("", id="summary", markup=False)
        self._row: Row | None = host.fleet.row(id_)

    def content(self) -> Iterable[Widget]:
        """A summary above the tabs."""
        yield self._summary
        with SteadyTabs(initial=self._tab):
            for name, title, make in self._tabs:
                with TabPane(Content(clean(title)), id=name):
                    yield make(self.host, self._instance)

    def on_mount(self) -> None:
        """Keys are the tab's."""
        super().on_mount()
        self.call_after_refresh(self._pane_shown)

    def on_tabbed_content_tab_activated(self) -> None:
        """Only the tab that is seen asks the daemon for anything."""
        self._pane_shown()

    def _pane_shown(self) -> None:
        active = self.query_one(SteadyTabs).active
        for pane in self.query(Pane):
            pane.seen = pane.parent is not None and pane.parent.id == active
            if pane.seen:
                pane.take_focus()

    def show_state(self) -> None:
        """Show what has changed; an instance that is gone is shown as it was."""
        if not self.ready:
            return
        super().show_state()
        row = self.host.fleet.row(self._instance)
        self._row = row or self._row
        if self._row:
            spark = _SHORT_SPARK if self.size.width < _NARROW else _SPARK
            summary = _summary(self._row, self.host.clock(), spark, gone=row is None)
            self._summary.update(summary)
        for pane in self.query(Pane):
            if pane.seen:
                pane.show_state()

    def on_resize(self) -> None:
        """There is more room, or less."""
        self.show_state()

    def on_open_rule(self, message: OpenRule) -> None:
        """Show it among all of them."""
        self.query_one(PolicyPane).show_rule(message.layer, message.text)
        self.query_one(SteadyTabs).active = "policy"

    def action_next_tab(self, step: int) -> None:
        """Another tab."""
        tabs = self.query_one(SteadyTabs)
        names = [name for name, _, _ in self._tabs]
        tabs.active = names[(names.index(tabs.active) + step) % len(names)]

    def action_back(self) -> None:
        """To the overview."""
        self.dismiss()

    def action_control(self, action: str) -> None:
        """Do it with this instance."""
        if self._row:
            self.post_message(Control(action, [self._row]))

    def action_console(self, kind: str) -> None:
        """A terminal in it."""
        if self._row:
            self.post_message(OpenConsole(kind, self._row.name))

    def action_command(self) -> None:
        """A program in it."""
        if self._row:
            ask_command(self, self._row.name)

    def action_publish(self, remove: bool) -> None:  # noqa: FBT001 - as the bindings say it
        """Lead a port to it, or no more."""
        if self._row:
            ask_port(self, self._row, remove=remove)


def _summary(row: Row, now: float, spark: int, *, gone: bool) -> Content:
    status, usage = row.status, row.usage
    state = "removed" if gone else status.state.value
    weak = status.isolation == Isolation.PROCESS.value
    engine = engine_label(status.engine, status.isolation) if weak else f"{status.engine}, {status.isolation}"
    good = status.state.value == "running" and not gone
    limit = f"/{size(usage.memory_limit)}" if usage.memory_limit else ""
    first = [
        (clean(row.name), "bold"),
        (f"  {state}", "bold $success" if good else "bold $warning"),
        (f"  {engine}  ", "$warning" if weak else "$muted"),
        (clean(" ".join(status.command)), "$accent"),
        (f"  {clean(status.message)}" if status.message else "", "$error"),
    ]
    second = [
        ("cpu ", "$muted"), (f"{percent(row.cpu):>5}% ", "bold"),
        (sparkline(row.cpu_history, spark, 5.0), "$accent"),
        ("  calls/s ", "$muted"), (f"{call_rate(row):>5} ", "bold"),
        (sparkline(row.call_history, spark), "$accent"),
        ("  denied/s ", "$muted"), (rate(row.denied), "bold $error" if row.denied else "bold"),
        ("  memory ", "$muted"), (f"{size(usage.memory)}{limit}", "bold"),
        ("  age ", "$muted"), (age(now - (status.started or status.created)), "bold"),
    ]  # fmt: skip
    return Content("\n").join([Content.assemble(*first), Content.assemble(*second)])
