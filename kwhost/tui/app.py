"""The application: it owns what is known of the daemon, and carries out what screens ask for."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from kwhost.core.errors import KwhostError
from kwhost.core.model.daemon import Changes, change_lines
from kwhost.core.model.text import clean
from kwhost.tui import messages
from kwhost.tui.actions import ACTIONS, Action, command_line
from kwhost.tui.api import AsyncClient
from kwhost.tui.fleet import Row
from kwhost.tui.host import Host
from kwhost.tui.keys import CHANGING, KEYS, SCOPES, bindings
from kwhost.tui.panels import FoundPanels, find_panels, no_panels
from kwhost.tui.records import read
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.screens.confirm import Confirm
from kwhost.tui.screens.console import Console
from kwhost.tui.screens.help import Help, LiveKey
from kwhost.tui.screens.instance import InstanceScreen
from kwhost.tui.screens.overview import Overview
from kwhost.tui.screens.questions import Questions
from kwhost.tui.screens.start import StartScreen
from kwhost.tui.themes import THEMES
from kwhost.tui.watch import Watch

__all__ = ["KwhostApp", "run"]

# At once, of what is done with several instances.
_REQUESTS_MAX = 8
_TICK_SECONDS = 1.0


class KwhostApp(App[None], inherit_bindings=False):
    """`clock` gives seconds since 1970, `monotonic` those of a clock that never goes back; `panels` finds
    those of plugins; `measured` counts what was measured since the start."""

    TITLE = "kwhost"
    BINDINGS: ClassVar[list[BindingType]] = bindings("everywhere")

    def __init__(
        self, client: AsyncClient, *, read_only: bool = False, keymap: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic,
        panels: Callable[[], Awaitable[FoundPanels]] = no_panels,
    ) -> None:  # fmt: skip
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name
        if keymap:
            self.set_keymap(dict(keymap))
        self.host = Host(client=client, clock=clock, read_only=read_only)
        self.measured = 0
        self._panels = panels
        self._watch = Watch(client, self.post_message, monotonic)

    def on_mount(self) -> None:
        """Show the first screen, and begin to follow the daemon."""
        self.push_screen(Overview(self.host))
        self.run_worker(self._watch.run(), group="watch")
        self.call_after_refresh(self.run_worker, self._find_panels())
        self.set_interval(_TICK_SECONDS, self._show)

    async def _find_panels(self) -> None:
        """After the first picture: plugins take their time."""
        found = await self._panels()
        self.host.panels = found.panels
        for failure in found.failures:
            self.notify(clean(failure), severity="warning", markup=False)

    def _show(self) -> None:
        if self.screen_stack and isinstance(self.screen, HostScreen):
            self.screen.show_state()

    # --- what the daemon tells

    @on(messages.Connected)
    def _connected(self, message: messages.Connected) -> None:
        before = self.host.info
        self.host.info, self.host.trouble = message.info, ""
        if before:
            new = before.started != message.info.started
            self.notify("The daemon was started again." if new else "The daemon answers again.")
        self._show()

    @on(messages.Lost)
    def _lost(self, message: messages.Lost) -> None:
        if not self.host.trouble:
            self.notify(clean(message.reason), severity="warning", markup=False)
        self.host.trouble = message.reason
        self._show()

    @on(messages.Listed)
    def _listed(self, message: messages.Listed) -> None:
        known = {question.id for question in self.host.questions}
        self.host.fleet.take_list(message.statuses)
        self.host.tenants, self.host.questions = message.tenants, message.questions
        if any(question.id not in known for question in message.questions):
            self.bell()
        self._show()

    @on(messages.Measured)
    def _measured(self, message: messages.Measured) -> None:
        self.host.fleet.measure(message.uses, message.time)
        self.measured += 1
        self._show()

    @on(messages.Happened)
    def _happened(self, message: messages.Happened) -> None:
        self.host.events.extend(message.events)
        if message.left_out:
            self.notify(f"{message.left_out} events were dropped unread.", severity="warning")
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
        self.run_worker(self._perform(action, rows))

    async def _perform(self, action: Action, rows: Sequence[Row]) -> None:
        names = [row.name for row in rows]
        command = command_line(action, names)
        if action.destructive and not await self.push_screen_wait(
            Confirm(action.verb, names, action.warning, command)
        ):
            return
        limit = asyncio.Semaphore(_REQUESTS_MAX)

        async def perform(row: Row) -> str | None:
            # By id: the name may mean another instance by now.
            async with limit:
                try:
                    await self.host.client.request(*action.request(row.key))
                except KwhostError as error:
                    return str(error)
                return None

        failures = [failure for failure in await asyncio.gather(*map(perform, rows)) if failure]
        for failure in failures[:3]:
            self.notify(clean(failure), title=f"Could not {action.verb}", severity="error", markup=False)
        if done := len(rows) - len(failures):
            what = names[0] if len(rows) == 1 else f"{done} instances"
            self.notify(clean(f"$ {command[:200]}"), title=f"{what} {action.done}", markup=False)
        self._watch.look()

    @on(messages.OpenInstance)
    def _open_instance(self, message: messages.OpenInstance) -> None:
        self.push_screen(InstanceScreen(self.host, message.id, message.tab))

    @on(messages.OpenConsole)
    def _open_console(self, message: messages.OpenConsole) -> None:
        if not self.host.read_only:
            self.push_screen(Console(self.host.client, message.kind, message.name, message.command))

    @on(messages.OpenStart)
    def _open_start(self, message: messages.OpenStart) -> None:
        self.push_screen(StartScreen(self.host, message.tenant))

    @on(messages.Started)
    def _started(self, message: messages.Started) -> None:
        self.notify(clean(f"$ {message.command[:200]}"), title="Started", markup=False)
        self._watch.look()

    async def action_reload(self) -> None:
        """Have the daemon read its configuration again."""
        if isinstance(self.screen, HostScreen):
            self.run_worker(self._reload())

    async def _reload(self) -> None:
        source = (self.host.info.configuration if self.host.info else None) or "no file"
        warning = "Instances that it has otherwise now are restarted; those that it has no more end."
        if not await self.push_screen_wait(
            Confirm("reload", [source], warning, "kwhost reload", what="the configuration")
        ):
            return
        try:
            changes = read(await self.host.client.request("POST", "/v1/reload"), Changes)
        except KwhostError as error:
            self.notify(clean(str(error)), title="Could not reload", severity="error", markup=False)
        else:
            lines = change_lines(asdict(changes)) or ["nothing changed"]
            self.notify(clean("\n".join(lines[:12])), title="$ kwhost reload", timeout=15, markup=False)
        self._watch.look()

    @on(messages.Answered)
    def _answered(self) -> None:
        self._watch.look()

    def action_questions(self) -> None:
        """The calls that wait for an answer."""
        if isinstance(self.screen, HostScreen) and not isinstance(self.screen, Questions):
            self.push_screen(Questions(self.host))

    def action_next_theme(self) -> None:
        """Another theme."""
        names = [theme.name for theme in THEMES]
        place = names.index(self.theme) + 1 if self.theme in names else 0
        self.theme = names[place % len(names)]

    def action_help_keys(self) -> None:
        """Which keys work here."""
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

    def _live_keys(self) -> list[LiveKey]:
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
        for row in self.host.fleet.rows():
            open_it = messages.OpenInstance(row.key, "logs")
            yield SystemCommand(clean(row.name), f"show it: {row.status.state.value}", self._poster(open_it))

    def _runner(self, action: str, node: object) -> Callable[[], object]:
        return lambda: self.call_later(self.run_action, action, node)

    def _poster(self, message: messages.OpenInstance) -> Callable[[], object]:
        return lambda: self.post_message(message)


def run(socket: Path, *, read_only: bool, keymap: Mapping[str, str]) -> None:
    """Until the operator leaves."""
    KwhostApp(AsyncClient(socket), read_only=read_only, keymap=keymap, panels=find_panels).run()
