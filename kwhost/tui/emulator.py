"""The screen of a terminal that a program writes to: pyte's, with what full-screen programs need besides.

What the program writes is hostile: nothing of it may raise, take long, or leave this screen.
"""

import unicodedata
from copy import copy
from itertools import groupby
from typing import Any

import pyte
from pyte import modes
from pyte.screens import Char

__all__ = ["Emulator"]

_ALTERNATE = {47, 1047, 1049}
_APPLICATION_CURSOR = 1 << 5
_BRACKETED_PASTE = 2004 << 5
# Of one cell: a letter with a few marks on it.
_CELL_MAX = 8
# Bytes of one sequence: pyte keeps what it has of it for as long as the program does not end it.
_SEQUENCE_MAX = 64 * 1024


class _Screen(pyte.Screen):
    """With the alternate screen, and without what programs must not do: a width of their own."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self.replies = bytearray()
        self._main: tuple[Any, Any] | None = None

    def set_mode(self, *numbers: int, **options: Any) -> None:
        """Modes of the program's choice."""
        if options.get("private"):
            if _ALTERNATE & set(numbers):
                self._enter_alternate()
            numbers = tuple(number for number in numbers if number != modes.DECCOLM >> 5)
        super().set_mode(*numbers, **options)

    def reset_mode(self, *numbers: int, **options: Any) -> None:
        """And out of them."""
        if options.get("private"):
            if _ALTERNATE & set(numbers):
                self._leave_alternate()
            numbers = tuple(number for number in numbers if number != modes.DECCOLM >> 5)
        super().reset_mode(*numbers, **options)

    def _enter_alternate(self) -> None:
        if self._main is None:
            self._main = (copy(self.buffer), copy(self.cursor))
            self.buffer.clear()

    def _leave_alternate(self) -> None:
        if self._main is not None:
            before, self.cursor = self._main
            self.buffer.clear()
            self.buffer.update(before)
            self._main = None
            self.cursor.y = min(self.cursor.y, self.lines - 1)
            self.cursor.x = min(self.cursor.x, self.columns - 1)

    def draw(self, data: str) -> None:
        """Text; a cell holds no more than a letter with its marks."""
        super().draw(data if data.isascii() else _with_few_marks(data))
        line = self.buffer[self.cursor.y]
        place = max(0, min(self.cursor.x, self.columns) - 1)
        if len(line[place].data) > _CELL_MAX:
            line[place] = line[place]._replace(data=line[place].data[:_CELL_MAX])

    def save_cursor(self) -> None:
        """Terminals have one place for it; pyte would keep all."""
        self.savepoints.clear()
        super().save_cursor()

    def select_graphic_rendition(self, *attributes: int, **options: Any) -> None:
        """Colours; xterm's private ones (`CSI > m`) are no colours."""
        if not options.get("private"):
            super().select_graphic_rendition(*attributes)

    def write_process_input(self, data: str) -> None:
        """What the terminal answers."""
        self.replies += data.encode()


def _with_few_marks(text: str) -> str:
    """Without all but the first marks on each letter: pyte composes a letter anew for each of them."""
    return "".join(
        "".join(run)[: _CELL_MAX if marks else None]
        for marks, run in groupby(text, lambda letter: unicodedata.combining(letter) != 0)
    )


class Emulator:
    """`feed` it, look at `line`, and write `take_replies` to the program."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._unfinished = 0

    @property
    def columns(self) -> int:
        """Its width."""
        return int(self._screen.columns)

    @property
    def rows(self) -> int:
        """Its height."""
        return int(self._screen.lines)

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Column and row; None while it is hidden."""
        cursor = self._screen.cursor
        return None if cursor.hidden else (min(cursor.x, self.columns - 1), cursor.y)

    @property
    def application_cursor(self) -> bool:
        """Whether arrow keys send what applications want."""
        return _APPLICATION_CURSOR in self._screen.mode

    @property
    def bracketed_paste(self) -> bool:
        """Whether what is pasted is to be told from what is typed."""
        return _BRACKETED_PASTE in self._screen.mode

    def feed(self, data: bytes) -> None:
        """What the program wrote. Sequences that pyte stumbles over, or that have no end, are forgotten."""
        for start in range(0, len(data), _SEQUENCE_MAX):
            self._feed(data[start : start + _SEQUENCE_MAX])

    def _feed(self, data: bytes) -> None:
        try:
            self._stream.feed(data)
        except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError):
            self._forget_sequence()
        self._unfinished = 0 if self._stream._taking_plain_text else self._unfinished + len(data)  # noqa: SLF001
        if self._unfinished > _SEQUENCE_MAX:
            self._forget_sequence()

    def _forget_sequence(self) -> None:
        self._stream = pyte.ByteStream(self._screen)
        self._unfinished = 0

    def take_replies(self) -> bytes:
        """What the terminal answers the program."""
        replies = bytes(self._screen.replies)
        self._screen.replies.clear()
        return replies

    def resize(self, columns: int, rows: int) -> None:
        """Have another size."""
        self._screen.resize(max(1, rows), max(1, columns))
        self._screen.cursor.x = min(self._screen.cursor.x, self.columns)
        self._screen.cursor.y = min(self._screen.cursor.y, self.rows - 1)

    def line(self, row: int) -> list[Char]:
        """The cells of a row; the second of a wide character is empty."""
        cells = self._screen.buffer[row]
        return [cells[column] for column in range(self.columns)]

    @property
    def text(self) -> str:
        """All that stands on it."""
        return "\n".join("".join(cell.data for cell in self.line(row)).rstrip() for row in range(self.rows))
