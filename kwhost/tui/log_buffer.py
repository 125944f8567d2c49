"""The newest lines of a log, bounded, cleaned, cut into the lines of a screen. Pure."""

import re
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from kwhost.core.model.text import clean
from kwhost.tui.widgets.cells import wrap

__all__ = ["LINES_MAX", "LogBuffer", "LogLine", "clean_line"]

LINES_MAX = 20_000
_LINE_CHARACTERS = 8192
_CHARACTERS_MAX = 16 * 1024 * 1024
# Colours that programs set are left out; anything else that a terminal obeys is shown as what it is.
_COLOURS = re.compile("\x1b\\[[0-9;:]*m")


def clean_line(text: str) -> str:
    """A program's line as it can be shown."""
    if text.isprintable():
        return text[:_LINE_CHARACTERS]
    text = _COLOURS.sub("", text[:_LINE_CHARACTERS]).rstrip("\r")
    return clean(text.expandtabs())[:_LINE_CHARACTERS]


class LogLine(NamedTuple):
    """`time` in seconds since 1970; `stream` is "stdout", "stderr", or "" for what kwhost says itself.
    `source` names whose line it is, among several."""

    time: float
    stream: str
    text: str
    source: str = ""


class LogBuffer:
    """`shown` are the lines of the screen: all, or those that fit `only`, whole or in pieces of `width`."""

    def __init__(self) -> None:
        self.lines: deque[LogLine] = deque()
        self.shown: deque[LogLine] = deque()
        self.dropped = 0
        self.gone = 0  # of what was shown
        self._characters = 0
        self._width: int | None = None
        self._only: Callable[[LogLine], bool] | None = None
        self._unfinished: dict[tuple[str, str], LogLine] = {}

    def add(self, time: float, stream: str, text: str, *, partial: bool = False, source: str = "") -> None:
        """A line, or part of one: the stream's next part goes on with it."""
        if self._unfinished and (before := self._unfinished.pop((source, stream), None)):
            time, text = before.time, before.text + text
        if partial:
            self._unfinished[source, stream] = LogLine(time, stream, text[:_LINE_CHARACTERS], source)
            return
        line = LogLine(time, stream, clean_line(text), source)
        self.lines.append(line)
        self._characters += len(line.text)
        self._show(line)
        self._bound()

    def _show(self, line: LogLine) -> None:
        if self._only and not self._only(line):
            return
        if self._width is None:
            self.shown.append(line)
        else:
            self.shown.extend(line._replace(text=piece) for piece in wrap(line.text, self._width))

    def _bound(self) -> None:
        while len(self.lines) > LINES_MAX or self._characters > _CHARACTERS_MAX:
            gone = self.lines.popleft()
            self._characters -= len(gone.text)
            self.dropped += 1
            if not self._only or self._only(gone):
                pieces = 1 if self._width is None else len(wrap(gone.text, self._width))
                for _ in range(pieces):
                    self.shown.popleft()
                self.gone += pieces

    def arrange(self, width: int | None, only: Callable[[LogLine], bool] | None) -> None:
        """Cut anew, for other settings."""
        self._width, self._only = width, only
        self.shown.clear()
        for line in self.lines:
            self._show(line)
