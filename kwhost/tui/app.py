"""The application: it owns what is known of the daemon, and carries out what screens ask for."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from kwhost.core.model.text import clean
from kwhost.tui import messages
from kwhost.tui.actions import ACTIONS
from kwhost.tui.api import AsyncClient
from kwhost.tui.columns import COLUMNS_MAX, PluginColumn
from kwhost.tui.host import Host
from kwhost.tui.keys import CHANGING, KEYS, SCOPES, bindings
from kwhost.tui.panels import FoundPanels, find_panels, no_panels
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.screens.overview import Overview
from kwhost.tui.themes import THEMES
from kwhost.tui.watch import Watch

if TYPE_CHECKING:
    from kwhost.tui.screens.help import LiveKey

__all__ = ["KwhostApp", "run"]

_TICK_SECONDS = 1.0
# What stays when screens are closed: Textual's own, and the overview.
_BELOW = 2


class KwhostApp(App[None], inherit_bindings=False):
    """Shows the first of `clients`, and knows of the others, by name. `clock` gives seconds since 1970,
    `monotonic` those of a clock that never goes back; `panels` finds those of plugins; `measured` counts
    what was measured since the start. Other screens than the first are loaded when they are opened: it is to
    be there soon."""

    TITLE = "kwhost"
    BINDINGS: ClassVar[list[BindingType]] = bindings("everywhere")

    def __init__(
        self, clients: Mapping[str, AsyncClient], *, read_only: bool = False,
        keymap: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic,
        panels: Callable[[], Awaitable[FoundPanels]] = no_panels,
    ) -> None:  # fmt: skip
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name
        if keymap:
            self.set_keymap(dict(keymap))
        self.hosts = {
            name: Host(name=name, client=client, clock=clock, read_only=read_only)
            for name, client in clients.items()
        }
        self.host = next(iter(self.hosts.values()))
        self.measured = 0
        self._panels = panels
        self._watches = {
            name: Watch(client, partial(self._hear, name), monotonic) for name, client in clients.items()
        }

    def on_mount(self) -> None:
        """Show the first screen, and begin to follow the daemon."""
        self.push_screen(Overview(self.host))
        for watch in self._watches.values():
            self.run_worker(watch.run(), group="watch")
        self.call_after_refresh(self.run_worker, self._find_panels())
        self.set_interval(_TICK_SECONDS, self._show)

    async def _find_panels(self) -> None:
        """After the first picture: plugins take their time."""
        found = await self._panels()
        for host in self.hosts.values():
            host.panels = found.panels
            host.columns = [PluginColumn(offer) for offer in found.columns[:COLUMNS_MAX]]
            for column in host.columns:
                tell = partial(self._told, host, is_warning=True)
                self.run_worker(column.follow(host, partial(self._is_overview, host), tell), group="columns")
        for failure in found.failures:
            self.notify(clean(failure), severity="warning", markup=False)

    def _is_overview(self, host: Host) -> bool:
        # At the end of the program there is no screen for a moment.
        return host is self.host and bool(self.screen_stack) and isinstance(self.screen, Overview)

    def _show(self) -> None:
        if self.screen_stack and isinstance(self.screen, HostScreen):
            self.screen.show_state()

    # --- what daemons tell

    def _hear(self, name: str, message: messages.FromDaemon) -> None:
        message.host = name
        self.post_message(message)

    def _told(self, host: Host, text: str, *, is_warning: bool = False) -> None:
        """Say what happened to a host; which one, if that is another than what is looked at."""
        title = "" if host is self.host else host.name
        severity: Literal["warning", "information"] = "warning" if is_warning else "information"
        self.notify(clean(text), title=title, severity=severity, markup=False)

    @on(messages.Connected)
    def _connected(self, message: messages.Connected) -> None:
        host = self.hosts[message.host]
        before = host.info
        host.info, host.trouble = message.info, ""
        if before:
            new = before.started != message.info.started
            self._told(host, "The daemon was started again." if new else "The daemon answers again.")
        self._show()

    @on(messages.Lost)
    def _lost(self, message: messages.Lost) -> None:
        host = self.hosts[message.host]
        if not host.trouble:
            self._told(host, message.reason, is_warning=True)
        host.trouble = message.reason
        self._show()

    @on(messages.Listed)
    def _listed(self, message: messages.Listed) -> None:
        host = self.hosts[message.host]
        known = {question.id for question in host.questions}
        host.fleet.take_list(message.statuses)
        host.tenants, host.questions = message.tenants, message.questions
        new = [question for question in message.questions if question.id not in known]
        if new:
            self.bell()
        if new and host is not self.host:
            self._told(host, f"{new[0].tenant}/{new[0].name} asks for {new[0].call.name}", is_warning=True)
        self._show()

    @on(messages.Measured)
    def _measured(self, message: messages.Measured) -> None:
        self.hosts[message.host].fleet.measure(message.uses, message.time)
        self.measured += 1
        self._show()

    @on(messages.Happened)
    def _happened(self, message: messages.Happened) -> None:
        host = self.hosts[message.host]
        host.events.extend(message.events)
        if message.left_out:
            self._told(host, f"{message.left_out} events were dropped unread.", is_warning=True)
        self._show()

    # --- what the operator wants

    @on(messages.Control)
    def _control(self, message: messages.Control) -> None:
        action = ACTIONS[message.action]
        rows = [row for row in message.targets if row.status.state in action.states]
        if self.host.read_only or not message.targets:
            return
        if not rows:
            states = ", ".join(sorted({row.status.state.value for row in message.targets}))
            self.notify(f"Nothing to {action.verb}: {states}", severity="warning", markup=False)
            return
        from kwhost.tui.operations import perform  # as screens that are not the first: once they are needed

        host = self.hosts[message.host] if message.host else self.host
        place = host.name if host is not self.host else ""
        self.run_worker(self._and_look(perform(self, host, action, rows, place), host))

    async def _and_look(self, work: Awaitable[None], host: Host) -> None:
        watch = self._watches[host.name]
        await work
        watch.look()

    @on(messages.OpenInstance)
    def _open_instance(self, message: messages.OpenInstance) -> None:
        from kwhost.tui.screens.instance import InstanceScreen

        self.push_screen(InstanceScreen(self.host, message.id, message.tab))

    @on(messages.OpenLogs)
    def _open_logs(self, message: messages.OpenLogs) -> None:
        from kwhost.tui.screens.logs import LOGS_MAX, LogsScreen

        if len(message.rows) > LOGS_MAX:
            self.notify(f"Only the first {LOGS_MAX} are shown.", severity="warning")
        self.push_screen(LogsScreen(self.host, message.rows[:LOGS_MAX]))

    @on(messages.OpenConsole)
    def _open_console(self, message: messages.OpenConsole) -> None:
        if not self.host.read_only:
            from kwhost.tui.screens.console import Console

            self.push_screen(Console(self.host.client, message.kind, message.name, message.command))

    def _look(self) -> None:
        self._watches[self.host.name].look()

    @on(messages.OpenHost)
    async def _open_host(self, message: messages.OpenHost) -> None:
        while len(self.screen_stack) > _BELOW:
            await self.pop_screen()
        if message.name != self.host.name:
            self.host = self.hosts[message.name]
            await self.switch_screen(Overview(self.host))
        if message.instance:
            from kwhost.tui.screens.instance import InstanceScreen

            self.push_screen(InstanceScreen(self.host, message.instance, "logs"))

    def action_hosts(self) -> None:
        """All hosts."""
        from kwhost.tui.screens.hosts import HostsScreen

        if isinstance(self.screen, HostScreen) and not isinstance(self.screen, HostsScreen):
            self.push_screen(HostsScreen(self.host, self.hosts))

    @on(messages.OpenStart)
    def _open_start(self, message: messages.OpenStart) -> None:
        from kwhost.tui.screens.start import StartScreen

        self.push_screen(StartScreen(self.host, message.tenant, message.image))

    @on(messages.Started)
    def _started(self, message: messages.Started) -> None:
        self.notify(clean(f"$ {message.command[:200]}"), title="Started", markup=False)
        self._look()

    async def action_reload(self) -> None:
        """Have the daemon read its configuration again."""
        if isinstance(self.screen, HostScreen):
            from kwhost.tui.operations import reload

            self.run_worker(self._and_look(reload(self, self.host), self.host))

    @on(messages.ChooseCall)
    def _choose_call(self, message: messages.ChooseCall) -> None:
        if not self.host.read_only:
            from kwhost.tui.screens.choose import choose_call

            self.run_worker(choose_call(self, self.host.client, message))

    @on(messages.Bring)
    def _bring(self, message: messages.Bring) -> None:
        if not self.host.read_only and not self.host.errand:
            from kwhost.tui.operations import bring

            self.run_worker(bring(self, self.host, message.words))

    @on(messages.Answered)
    def _answered(self) -> None:
        self._look()

    def action_questions(self) -> None:
        """The calls that wait for an answer."""
        from kwhost.tui.screens.questions import Questions

        if isinstance(self.screen, HostScreen) and not isinstance(self.screen, Questions):
            self.push_screen(Questions(self.host))

    def action_images(self) -> None:
        """The images of the host that is shown."""
        from kwhost.tui.screens.images import ImagesScreen

        if isinstance(self.screen, HostScreen) and not isinstance(self.screen, ImagesScreen):
            self.push_screen(ImagesScreen(self.host))

    def action_volumes(self) -> None:
        """The volumes of the host that is shown."""
        from kwhost.tui.screens.volumes import VolumesScreen

        if isinstance(self.screen, HostScreen) and not isinstance(self.screen, VolumesScreen):
            self.push_screen(VolumesScreen(self.host))

    def action_next_theme(self) -> None:
        """Another theme."""
        names = [theme.name for theme in THEMES]
        place = names.index(self.theme) + 1 if self.theme in names else 0
        self.theme = names[place % len(names)]

    def action_help_keys(self) -> None:
        """Which keys work here."""
        from kwhost.tui.screens.help import Help

        if isinstance(self.screen, HostScreen):
            self.push_screen(Help(self._live_keys()))

    async def action_leave(self) -> None:
        """Instances go on without this."""
        self.exit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """In read-only mode nothing that changes anything has a key."""
        if self.host.read_only and action in CHANGING:
            return False
        return super().check_action(action, parameters)

    def _live_keys(self) -> "list[LiveKey]":
        live: dict[str, list[str]] = {}
        for active in self.screen.active_bindings.values():
            if active.enabled and active.binding.id:
                live.setdefault(active.binding.id, []).append(self.get_key_display(active.binding))
        known = [key for key in KEYS if key.id in live]
        order = [*list(SCOPES)[2:], "table", "everywhere"]
        known.sort(key=lambda key: order.index(key.scope))
        return [(" ".join(live[key.id]), key.help, SCOPES[key.scope]) for key in known]

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette finds: everything that has a key here, and every instance."""
        for active in list(screen.active_bindings.values()):
            binding = active.binding
            if active.enabled and binding.id and binding.action != "command_palette":
                run = self._runner(binding.action, active.node)
                yield SystemCommand(binding.description, binding.tooltip, run)
        for name in self.hosts:
            open_host = messages.OpenHost(name)
            yield SystemCommand(f"@{clean(name)}", "go to this host", self._poster(open_host))
        for row in self.host.fleet.rows():
            open_it = messages.OpenInstance(row.key, "logs")
            yield SystemCommand(clean(row.name), f"show it: {row.status.state.value}", self._poster(open_it))

    def _runner(self, action: str, node: object) -> Callable[[], object]:
        return lambda: self.call_later(self.run_action, action, node)

    def _poster(self, message: Message) -> Callable[[], object]:
        return lambda: self.post_message(message)


def run(sockets: Mapping[str, Path], *, read_only: bool, keymap: Mapping[str, str]) -> None:
    """Until the operator leaves; `sockets` are those of daemons, by the names of their hosts."""
    clients = {name: AsyncClient(socket) for name, socket in sockets.items()}
    KwhostApp(clients, read_only=read_only, keymap=keymap, panels=find_panels).run()
