"""A log that is followed, searched, wrapped and saved; it draws only what is seen."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kwhost.tui.log_buffer import LINES_MAX, LogBuffer, LogLine
from kwhost.tui.widgets.cells import fit

__all__ = ["LogView"]

_TIME_WIDTH = 13
_COLOURS = 6
_NAME_MAX = 24


class LogView(ScrollView, can_focus=True):
    """Shows a LogBuffer; lines of `sources` have their names before them, each in a colour."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--error", "log--own", "log--time", "log--match", "log--here",
        *(f"log--source-{number}" for number in range(_COLOURS)),
    }  # fmt: skip
    DEFAULT_CSS = """
    LogView { background: $background; height: 1fr; scrollbar-size-horizontal: 0; }
    LogView > .log--error { color: $warning; }
    LogView > .log--own { color: $accent; text-style: italic; }
    LogView > .log--time { color: $muted; }
    LogView > .log--match { background: $accent; color: $background; }
    LogView > .log--here { background: $warning; color: $background; text-style: bold; }
    LogView > .log--source-0 { color: $source-0; }
    LogView > .log--source-1 { color: $source-1; }
    LogView > .log--source-2 { color: $source-2; }
    LogView > .log--source-3 { color: $source-3; }
    LogView > .log--source-4 { color: $source-4; }
    LogView > .log--source-5 { color: $source-5; }
    """

    def __init__(self, sources: Sequence[str] = ()) -> None:
        super().__init__()
        self._sources = {name: number % _COLOURS for number, name in enumerate(sources)}
        self._name_width = min(_NAME_MAX, max(map(len, sources), default=0))
        self.buffer = LogBuffer()
        self.following = True
        self.wrapping = False
        self.times = False
        self.only = False
        self._search: re.Pattern[str] | None = None
        self._here: int | None = None
        self._gone = 0
        self._base = Style()
        self._own: dict[str, Style] = {}

    # --- what is shown

    def show_new(self) -> None:
        """Lines have come; what is read stays where it is though older lines go."""
        gone, self._gone = self.buffer.gone - self._gone, self.buffer.gone
        if gone and self._here is not None:
            self._here = self._here - gone if self._here >= gone else None
        if gone and not self.following:
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, immediate=True)
        self.virtual_size = Size(self.size.width, len(self.buffer.shown))
        if self.following:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        self.refresh()

    @property
    def room(self) -> int:
        """How many lines may come before one goes that is read."""
        free = LINES_MAX - len(self.buffer.lines)
        return LINES_MAX if self.following else free + self.scroll_offset.y

    def rearrange(self) -> None:
        """A setting has changed."""
        width = self._text_width - 1
        pattern = self._search
        only = (lambda line: bool(pattern.search(line.text))) if self.only and pattern else None
        self.buffer.arrange(max(8, width) if self.wrapping else None, only)
        self._here = None
        self.show_new()

    def on_resize(self) -> None:
        """Wrapped lines depend on the width."""
        if self.wrapping:
            self.rearrange()
        else:
            self.show_new()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling up stays there, back at the end follows again."""
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value:
            self.following = False
        elif new_value >= self.max_scroll_y:
            self.following = True

    # --- searching

    def search(self, text: str) -> int:
        """Mark this text, in any case of letters; how many lines have it."""
        self._search = re.compile(re.escape(text), re.IGNORECASE) if text else None
        if self.only:
            self.rearrange()
        self.refresh()
        return len(self._matches())

    def _matches(self) -> list[int]:
        pattern = self._search
        if pattern is None:
            return []
        return [number for number, line in enumerate(self.buffer.shown) if pattern.search(line.text)]

    def next_match(self, step: int) -> None:
        """To the next line with the text, from the end of the screen at first."""
        matches = self._matches()
        if not matches:
            return
        here = self._here
        if here is None:
            here = self.scroll_offset.y + self.size.height
        later = [number for number in matches if number > here]
        earlier = [number for number in matches if number < here]
        forward = step > 0 and self._here is not None
        found = (later or matches)[0] if forward else (earlier or matches)[-1]
        self._here = found
        self.following = False
        self.scroll_to(y=max(0, found - self.size.height // 2), animate=False)
        self.refresh()

    # --- drawing

    @property
    def _width(self) -> int:
        """Beside the scroll bar."""
        return self.scrollable_content_region.width

    @property
    def _text_width(self) -> int:
        """Beside times and names."""
        names = self._name_width + 3 if self._sources else 0
        return self._width - (_TIME_WIDTH if self.times else 0) - names

    def render_lines(self, crop: Region) -> list[Strip]:
        """Several of them; what is the same for all is worked out once."""
        self._base = self.rich_style
        self._own = {
            "stderr": self._base + self.get_component_rich_style("log--error", partial=True),
            "": self._base + self.get_component_rich_style("log--own", partial=True),
        }
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        number = y + self.scroll_offset.y
        shown = self.buffer.shown
        base = self._base
        if number >= len(shown):
            return Strip.blank(self._width, base)
        line = shown[number]
        style = self._own.get(line.stream, base)
        segments = self._time(line, base) if self.times else []
        if self._sources:
            segments += self._source(line, base)
        text = line.text if self.wrapping else fit(line.text, self._text_width)
        segments += self._marked(text, style, here=number == self._here)
        return Strip(segments).adjust_cell_length(self._width, base)

    def _time(self, line: LogLine, base: Style) -> list[Segment]:
        when = datetime.fromtimestamp(line.time, UTC).astimezone().strftime("%H:%M:%S.%f")[:12]
        return [Segment(f"{when} ", base + self.get_component_rich_style("log--time", partial=True))]

    def _source(self, line: LogLine, base: Style) -> list[Segment]:
        number = self._sources.get(line.source, 0)
        colour = self.get_component_rich_style(f"log--source-{number}", partial=True)
        return [Segment(f"{fit(line.source, self._name_width)} │ ", base + colour)]

    def _marked(self, text: str, style: Style, *, here: bool) -> list[Segment]:
        if self._search is None:
            return [Segment(text, style)]
        mark = style + self.get_component_rich_style("log--here" if here else "log--match", partial=True)
        segments, place = [], 0
        for match in islice(self._search.finditer(text), 100):
            segments += [Segment(text[place : match.start()], style), Segment(match[0], mark)]
            place = match.end()
        return [*segments, Segment(text[place:], style)]
