"""What one or several instances' programs wrote: followed, searched, wrapped, saved."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from kwhost.core.api.requests import ServerEvent, instance_path
from kwhost.core.api.types import LogEntry
from kwhost.core.errors import ApiError, KwhostError
from kwhost.core.model.ids import InstanceId
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.log_buffer import LINES_MAX
from kwhost.tui.records import read
from kwhost.tui.widgets.log_view import LogView

__all__ = ["LogReader", "Source"]

# Lines from before, of all together.
_TAIL = 2000
# Lines a second of all logs together: the daemon leaves out what is more, and says so.
_RATE = 10_000
_RETRY_SECONDS = 1.0
# Lines that come within this time are put in order, and shown together: that is what takes long.
_GATHER_SECONDS = 0.05


class Source(NamedTuple):
    """An instance, and the name that its lines carry; "" for none."""

    instance: InstanceId
    name: str = ""


class _Arrived(NamedTuple):
    time: float
    stream: str
    text: str
    partial: bool
    source: str


class LogReader(Vertical):
    """Follows logs, from their last lines on."""

    DEFAULT_CSS = """
    LogReader #search { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    LogReader #log-state { height: 1; padding: 0 1; background: $panel; color: $muted; text-wrap: nowrap; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("logs")

    def __init__(self, host: Host, sources: Sequence[Source]) -> None:
        super().__init__()
        self.host = host
        self.view = LogView([source.name for source in sources if source.name])
        self._sources = sources
        self._places: dict[InstanceId, str] = {}
        self._arrived: list[_Arrived] = []
        self._left_out = 0
        self._line = Input(id="search", placeholder="find", compact=True)
        self._state = Static("", id="log-state", markup=False)

    def compose(self) -> ComposeResult:
        """The lines, and below them how they are shown."""
        yield self.view
        yield self._line
        yield self._state

    # --- reading

    async def follow(self) -> None:
        """The last lines, and what comes; after a break what has come since."""
        if len(self._sources) > 1:
            # Each log's last lines are there before any is followed: so they can be put in order.
            await asyncio.gather(*map(self._read_last, self._sources))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._show())
            for source in self._sources:
                group.create_task(self._follow(source))

    async def _read_last(self, source: Source) -> None:
        query = self._query(source)
        try:
            async for events in self.host.client.events(instance_path(source.instance, "logs"), query):
                self._take(source, events)
        except KwhostError:
            pass  # following it says why

    async def _follow(self, source: Source) -> None:
        told = ""
        while True:
            query = self._query(source) | {"follow": True, "rate": _RATE // len(self._sources)}
            try:
                async for events in self.host.client.events(instance_path(source.instance, "logs"), query):
                    told = ""
                    self._take(source, events)
            except ApiError as error:
                if told != str(error):
                    told = str(error)
                    self._say(source, told)
            except KwhostError as error:
                self._say(source, str(error))
                return
            await asyncio.sleep(_RETRY_SECONDS)

    def _query(self, source: Source) -> dict[str, object]:
        if place := self._places.get(source.instance):
            return {"after": place}
        return {"tail": _TAIL // len(self._sources)}

    def _take(self, source: Source, events: Iterable[ServerEvent]) -> None:
        for event in events:
            if event.name == "line":
                entry = read(event.data, LogEntry)
                line = _Arrived(entry.time, entry.stream, entry.text, entry.partial, source.name)
                self._arrived.append(line)
                if event.id:
                    self._places[source.instance] = event.id
            elif event.name == "left-out":
                count = event.data["count"]
                self._say(source, f"{'lines' if count is None else f'{count} lines'} were dropped unread")

    def _say(self, source: Source, text: str) -> None:
        self._arrived.append(_Arrived(self.host.clock(), "", f"[{text}]", partial=False, source=source.name))

    async def _show(self) -> None:
        while True:
            self._show_arrived()
            await asyncio.sleep(_GATHER_SECONDS)

    def _show_arrived(self) -> None:
        if not self._arrived:
            return
        arrived, self._arrived = self._arrived, []
        if len(self._sources) > 1:
            arrived.sort(key=lambda line: line.time)
        for line in self._with_room(arrived):
            self.view.buffer.add(line.time, line.stream, line.text, partial=line.partial, source=line.source)
        self.view.show_new()
        self.show_state()

    def _with_room(self, arrived: list[_Arrived]) -> list[_Arrived]:
        """Those that take the place of none that is read; of the others one is told how many they were."""
        room = self.view.room
        if room and self._left_out:
            text = f"[{self._left_out} lines were left out meanwhile]"
            arrived.insert(0, _Arrived(arrived[0].time, "", text, partial=False, source=""))
            self._left_out = 0
        if self.view.following:
            return arrived
        self._left_out += max(0, len(arrived) - room)
        return arrived[:room]

    # --- how it is shown

    def show_state(self) -> None:
        """Tell it in the line below."""
        view, buffer = self.view, self.view.buffer
        words = [
            ("following", "bold $success") if view.following else ("standing still", "bold $warning"),
            (f"   {len(self._sources)} instances" if len(self._sources) > 1 else "", ""),
            (f"   {len(buffer.lines)} lines", ""),
            (f", the {LINES_MAX} newest" if buffer.dropped and not self._left_out else "", ""),
            (f", {self._left_out} newer ones left out" if self._left_out else "", "$warning"),
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
        state = Content.assemble(*words)
        if state != self._state.content:  # the screen is arranged anew for it
            self._state.update(state)

    def take_focus(self) -> None:
        """The lines have the keys."""
        self.screen.set_focus(self.view)

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
        self.take_focus()
        self.view.next_match(-1)

    def action_next_match(self, step: int) -> None:
        """Another line with it."""
        self.view.next_match(step)
        self.show_state()

    def action_save(self) -> None:
        """Write the lines that are kept to a new file in the current directory."""
        stamp = datetime.fromtimestamp(self.host.clock(), UTC).strftime("%Y%m%dT%H%M%S")
        what = self._sources[0].instance if len(self._sources) == 1 else "logs"
        path = Path.cwd() / f"kwhost-{what}-{stamp}.log"
        text = "".join(
            f"{line.source} | {line.text}\n" if line.source else f"{line.text}\n"
            for line in self.view.buffer.lines
        )
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            self.notify(f"cannot write {path}: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(str(path), title="Saved", markup=False)
