"""What the instance's program wrote."""

import asyncio
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Input, Static

from kwhost.core.api.client import ServerEvent, instance_path
from kwhost.core.api.types import LogEntry
from kwhost.core.errors import ApiError
from kwhost.core.model.ids import InstanceId
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.log_buffer import LINES_MAX
from kwhost.tui.panes.base import Pane
from kwhost.tui.records import read
from kwhost.tui.widgets.log_view import LogView

__all__ = ["LogsPane"]

_TAIL = 2000
_RETRY_SECONDS = 1.0


class LogsPane(Pane):
    """Follows the log, from its last lines on."""

    DEFAULT_CSS = """
    LogsPane #search { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    LogsPane #log-state { height: 1; padding: 0 1; background: $panel; color: $muted; text-wrap: nowrap; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("logs")

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self.view = LogView()
        self._place: str | None = None
        self._line = Input(id="search", placeholder="find", compact=True)
        self._state = Static("", id="log-state", markup=False)

    def compose(self) -> ComposeResult:
        """The log, and below it how it is shown."""
        yield self.view
        yield self._line
        yield self._state

    def take_focus(self) -> None:
        """The lines have the keys."""
        self.screen.set_focus(self.view)

    async def follow(self) -> None:
        """The last lines, and what comes; after a break only what is newer."""
        while True:
            query = {"follow": True} | ({"after": self._place} if self._place else {"tail": _TAIL})
            try:
                async for events in self.host.client.events(instance_path(self.instance, "logs"), query):
                    self._take(events)
            except ApiError as error:
                self.view.buffer.add(self.host.clock(), "", f"[{error}]")
                self.view.show_new()
            await asyncio.sleep(_RETRY_SECONDS)

    def _take(self, events: Iterable[ServerEvent]) -> None:
        buffer = self.view.buffer
        for event in events:
            if event.name == "line":
                entry = read(event.data, LogEntry)
                buffer.add(entry.time, entry.stream, entry.text, partial=entry.partial)
                self._place = event.id
            elif event.name == "left-out":
                count = event.data["count"]
                lines = "lines" if count is None else f"{count} lines"
                buffer.add(self.host.clock(), "", f"[{lines} were dropped unread]")
        self.view.show_new()
        self.show_state()

    def show_state(self) -> None:
        """How the log is shown."""
        view, buffer = self.view, self.view.buffer
        words = [
            ("following", "bold $success") if view.following else ("standing still", "bold $warning"),
            (f"   {len(buffer.lines)} lines", ""),
            (f", the {LINES_MAX} newest" if buffer.dropped else "", ""),
            *(
                (f"   {word}", "$accent")
                for word, on_ in (
                    ("wrapped", view.wrapping),
                    ("times", view.times),
                    ("only matches", view.only),
                )
                if on_
            ),
        ]
        self._state.update(Content.assemble(*words))

    # --- keys

    def action_follow(self) -> None:
        """Stay at the end, or not."""
        self.view.following = not self.view.following
        self.view.show_new()
        self.show_state()

    def action_wrap(self) -> None:
        """Break long lines, or cut them."""
        self.view.wrapping = not self.view.wrapping
        self._rearrange()

    def action_times(self) -> None:
        """Show times, or not."""
        self.view.times = not self.view.times
        self._rearrange()

    def action_only(self) -> None:
        """Only lines that have what is searched for, or all."""
        self.view.only = not self.view.only
        self._rearrange()

    def _rearrange(self) -> None:
        self.view.rearrange()
        self.show_state()

    def action_search(self) -> None:
        """Type what to find."""
        line = self._line
        line.display = True  # at once: what is hidden cannot have the focus
        self.screen.set_focus(line)

    @on(Input.Changed, "#search")
    def _search(self, event: Input.Changed) -> None:
        found = self.view.search(event.value)
        self._line.border_title = f"{found} lines"

    @on(Input.Submitted, "#search")
    def _search_done(self, event: Input.Submitted) -> None:
        self._line.display = bool(event.value)
        self.screen.set_focus(self.view)
        self.view.next_match(-1)

    def action_next_match(self, step: int) -> None:
        """Another line with it."""
        self.view.next_match(step)
        self.show_state()

    def action_save(self) -> None:
        """Write the lines that are kept to a new file in the current directory."""
        stamp = datetime.fromtimestamp(self.host.clock(), UTC).strftime("%Y%m%dT%H%M%S")
        path = Path.cwd() / f"kwhost-{self.instance}-{stamp}.log"
        text = "".join(f"{line.text}\n" for line in self.view.buffer.lines)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            self.notify(f"cannot write {path}: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(str(path), title="Saved", markup=False)
