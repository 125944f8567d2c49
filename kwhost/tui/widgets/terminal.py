"""A terminal inside the terminal."""

from collections.abc import Callable
from typing import ClassVar

from pyte.screens import Char
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from kwhost.tui.emulator import Emulator
from kwhost.tui.terminal_keys import encode_key, encode_paste

__all__ = ["Terminal"]

_STYLES_MAX = 4096


class Terminal(Widget, can_focus=True):
    """Draws an emulator; keys go to `write`, but ctrl+p ctrl+q, which lets go as with `kwhost attach`."""

    DEFAULT_CSS = "Terminal { background: $background; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = []

    class Detach(Message):
        """The operator lets go."""

    class Resized(Message):
        """The terminal has another size."""

        def __init__(self, columns: int, rows: int) -> None:
            super().__init__()
            self.columns = columns
            self.rows = rows

    def __init__(self, write: Callable[[bytes], None]) -> None:
        super().__init__()
        self.emulator = Emulator()
        self._write = write
        self._letting_go = False
        self._cell_styles: dict[tuple[object, ...], Style] = {}

    def feed(self, data: bytes) -> None:
        """What the program wrote."""
        self.emulator.feed(data)
        if replies := self.emulator.take_replies():
            self._write(replies)
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        """As large as there is room."""
        self.emulator.resize(event.size.width, event.size.height)
        self.post_message(self.Resized(self.emulator.columns, self.emulator.rows))

    async def _on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if event.key == "ctrl+p" and not self._letting_go:
            self._letting_go = True
            return
        if self._letting_go:
            self._letting_go = False
            if event.key == "ctrl+q":
                self.post_message(self.Detach())
                return
            self._write(b"\x10")
        sent = encode_key(event.key, event.character, application_cursor=self.emulator.application_cursor)
        if sent:
            self._write(sent)

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        self._write(encode_paste(event.text, bracketed=self.emulator.bracketed_paste))

    def render_line(self, y: int) -> Strip:
        """One row."""
        if y >= self.emulator.rows:
            return Strip.blank(self.size.width, self.rich_style)
        cursor = self.emulator.cursor
        segments = []
        for x, cell in enumerate(self.emulator.line(y)):
            if not cell.data:
                continue  # the second half of a wide character
            style = self._style(cell)
            if self.has_focus and cursor == (x, y):
                style += Style(reverse=not cell.reverse)
            segments.append(Segment(cell.data if cell.data.isprintable() else " ", style))
        return Strip(Segment.simplify(segments)).adjust_cell_length(self.size.width, self.rich_style)

    def _style(self, cell: Char) -> Style:
        key = cell[1:]
        style = self._cell_styles.get(key)
        if style is None:
            if len(self._cell_styles) >= _STYLES_MAX:
                self._cell_styles.clear()
            style = self._cell_styles[key] = self.rich_style + Style(
                color=_colour(cell.fg), bgcolor=_colour(cell.bg), bold=cell.bold, italic=cell.italics,
                underline=cell.underscore, reverse=cell.reverse, strike=cell.strikethrough,
            )  # fmt: skip
        return style


def _colour(name: str) -> Color | None:
    """pyte's names: "red", "brightred", "brown" for yellow, or six hexadecimal digits."""
    if name == "default":
        return None
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name.lower()):
        return Color.parse(f"#{name}")
    name = name.replace("brown", "yellow")
    return Color.parse(f"bright_{name[6:]}" if name.startswith("bright") else name)
