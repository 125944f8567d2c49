"""On which line each key of a TOML document stands; tomllib reads documents, but does not tell.

Only for text that tomllib has accepted: nothing is checked a second time here.
"""

import re
import tomllib
from bisect import bisect_left

__all__ = ["KeyPath", "key_lines"]

# Names of keys, and indexes of elements in arrays and in arrays of tables.
KeyPath = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A multi-line string may end in up to two quotes of its own before the three that close it.
_STRING = re.compile(
    r"""  \"{3} (?: \\. | [^\\] )*? \"{3,5}
        | '{3} .*? '{3,5}
        | \"  (?: \\. | [^\"\\] )* \"
        | '   [^']* '
    """,
    re.VERBOSE | re.DOTALL,
)
_OTHER_VALUE = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of each key, table and array element of a valid document.

    A table's line is its header's; of one that has none, the line where it is named first.
    """
    return _Scanner(text).scan()


class _Scanner:
    """Walks through the text once; `_at` is always at the start of something, or at space."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line_ends = [match.start() for match in re.finditer("\n", self._text)]
        self._lines: dict[KeyPath, int] = {}
        self._last_elements: dict[KeyPath, int] = {}  # of arrays of tables

    def scan(self) -> dict[KeyPath, int]:
        """Go through the whole document."""
        table: KeyPath = ()
        while self._peek():
            if self._peek() == "[":
                table = self._scan_header()
            else:
                self._scan_assignment(table)
        return self._lines

    def _peek(self) -> str:
        """The next character after space and comments; empty at the end."""
        match = _SPACE.match(self._text, self._at)
        assert match  # it matches nothing, too
        self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _skip(self, count: int = 1) -> None:
        self._at += count

    def _line(self) -> int:
        return bisect_left(self._line_ends, self._at) + 1

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def _scan_keys(self) -> list[str]:
        """A dotted key, without the dots and quotes."""
        keys = []
        while True:
            self._peek()
            if (bare := self._take(_BARE_KEY)) is not None:
                keys.append(bare)
            else:
                keys.append(tomllib.loads(f"key = {self._take(_STRING)}")["key"])
            if self._peek() != ".":
                return keys
            self._skip()

    def _scan_header(self) -> KeyPath:
        """[table] or [[array of tables]]; returns the path of what follows."""
        line = self._line()
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._skip(brackets)
        *parents, last = self._scan_keys()
        self._skip(brackets)
        path: KeyPath = ()
        for key in parents:
            path = (*path, key)
            self._lines.setdefault(path, line)
            if path in self._last_elements:
                path = (*path, self._last_elements[path])
        path = (*path, last)
        if brackets == 2:
            self._lines.setdefault(path, line)
            self._last_elements[path] = self._last_elements.get(path, -1) + 1
            path = (*path, self._last_elements[path])
        self._lines[path] = line
        return path

    def _scan_assignment(self, path: KeyPath) -> None:
        """A key, dotted or not, and its value."""
        line = self._line()
        for key in self._scan_keys():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._skip()  # the equals sign
        self._scan_value(path)

    def _scan_value(self, path: KeyPath) -> None:
        opening = self._peek()
        if opening == "[":
            self._scan_array(path)
        elif opening == "{":
            self._scan_inline_table(path)
        elif self._take(_STRING) is None:
            self._take(_OTHER_VALUE)

    def _scan_array(self, path: KeyPath) -> None:
        self._skip()
        index = 0
        while self._peek() != "]":
            self._lines[*path, index] = self._line()
            self._scan_value((*path, index))
            index += 1
            if self._peek() == ",":
                self._skip()
        self._skip()

    def _scan_inline_table(self, path: KeyPath) -> None:
        self._skip()
        while self._peek() != "}":
            self._scan_assignment(path)
            if self._peek() == ",":
                self._skip()
        self._skip()
