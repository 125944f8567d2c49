"""A generator of TOML documents that knows on which line it wrote each key."""

import json
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from kwhost.core.config.positions import KeyPath

# Among them such as look like keys, headers and comments without being any.
SCALARS = (
    "1",
    "0x1F",
    "-1_000.5e3",
    "nan",
    "true",
    "1979-05-27 07:32:00Z",
    "07:32:00.5",
    '""',
    "''",
    r'"a \" quote # and = [x] \\"',
    r"'C:\ # \'",
    '"""one line"""',
    '"""[table]\nkey = 1\n"""',
    '"""two quotes at the end:"""""',
    '"""a \\"""\n escaped end \\\n   # and a folded line"""',
    "'''\n[[array]]\nkey = \"x\" # \\'''",
    "'''a quote at the end'\n''''",
    '"""\n\n"""',
)
SPACES = ("", " ", "\t ")
LINE_ENDS = ("\n", "\n\n", " # comment\n", "\n# [comment]\n\t\n", ' # "quote\n')
ARRAY_SPACES = ("", " ", "\n", " # ] , comment\n  ")
# A number keeps each key its own; what stands before it makes trouble.
BARE = ("a", "A-", "_", "1")
QUOTED = ('"', ".", " ", "#", "=", "]", "é", "\\", "\t", "'")


class Document(NamedTuple):
    """A text and the line of each of its keys."""

    text: str
    lines: dict[KeyPath, int]


class Table(NamedTuple):
    """As a header names it, and its path with the indexes of array elements."""

    names: tuple[str, ...]
    path: KeyPath


class Writer:
    """Writes a document statement by statement; every choice is drawn."""

    def __init__(self, draw: DrawFn) -> None:
        self._draw = draw
        self._count = 0
        self._current: KeyPath = ()
        self._tables = [Table((), ())]  # which further headers may begin with
        self._implicit: list[Table] = []  # which may get a header of their own
        self._arrays: dict[Table, int] = {}  # with the number of their elements
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def write_statement(self) -> None:
        kind = self._draw(st.sampled_from(("key", "key", "table", "array", "implicit", "element")))
        if kind == "table":
            self._write_table()
        elif kind == "array":
            self._write_array()
        elif kind == "implicit" and self._implicit:
            self._write_implicit()
        elif kind == "element" and self._arrays:
            self._write_element(self._draw(st.sampled_from(list(self._arrays))))
        else:
            self._write_assignment(self._current, depth=2)
        self._write_one_of(LINE_ENDS)

    def _line(self) -> int:
        return self.text.count("\n") + 1

    def _write_one_of(self, choices: tuple[str, ...]) -> None:
        self.text += self._draw(st.sampled_from(choices))

    def _fresh_keys(self, most: int) -> list[str]:
        prefixes = self._draw(st.lists(st.sampled_from(BARE + QUOTED), min_size=1, max_size=most))
        self._count += 1
        return [f"{prefix}{self._count}" for prefix in prefixes]

    def _spell(self, key: str) -> str:
        if not any(character in key for character in QUOTED):
            return self._draw(st.sampled_from((key, f'"{key}"', f"'{key}'")))
        if "'" not in key and self._draw(st.booleans()):
            return f"'{key}'"
        return json.dumps(key, ensure_ascii=self._draw(st.booleans()))

    def _write_keys(self, keys: tuple[str, ...]) -> None:
        for index, key in enumerate(keys):
            if index:
                self._write_one_of((".", " . ", "\t."))
            self.text += self._spell(key)

    def _write_header(self, names: tuple[str, ...], opening: str, closing: str) -> None:
        self.text += opening
        self._write_one_of(SPACES)
        self._write_keys(names)
        self._write_one_of(SPACES)
        self.text += closing

    def _extend(self, parent: Table, keys: list[str]) -> Table:
        """A new table below another, with tables without headers in between."""
        table = parent
        for index, key in enumerate(keys):
            table = Table((*table.names, key), (*table.path, key))
            self.lines[table.path] = self._line()
            if index < len(keys) - 1:
                self._implicit.append(table)
        return table

    def _write_table(self) -> None:
        table = self._extend(self._draw(st.sampled_from(self._tables)), self._fresh_keys(3))
        self._write_header(table.names, "[", "]")
        self._tables.append(table)
        self._current = table.path

    def _write_implicit(self) -> None:
        table = self._draw(st.sampled_from(self._implicit))
        self._implicit.remove(table)
        self.lines[table.path] = self._line()
        self._write_header(table.names, "[", "]")
        self._tables.append(table)
        self._current = table.path

    def _write_array(self) -> None:
        table = self._extend(self._draw(st.sampled_from(self._tables)), self._fresh_keys(2))
        self._arrays[table] = 0
        self._write_element(table)

    def _write_element(self, array: Table) -> None:
        index = self._arrays[array]
        self._forget_below((*array.path, index - 1))
        self._arrays[array] = index + 1
        element = Table(array.names, (*array.path, index))
        self.lines[element.path] = self._line()
        self._write_header(array.names, "[[", "]]")
        self._tables.append(element)
        self._current = element.path

    def _forget_below(self, path: KeyPath) -> None:
        """Headers now mean the array's next element."""
        gone = len(path)
        self._tables = [table for table in self._tables if table.path[:gone] != path]
        self._implicit = [table for table in self._implicit if table.path[:gone] != path]
        self._arrays = {table: n for table, n in self._arrays.items() if table.path[:gone] != path}

    def _write_assignment(self, path: KeyPath, depth: int) -> None:
        keys = self._fresh_keys(3)
        for key in keys:
            path = (*path, key)
            self.lines[path] = self._line()
        self._write_keys(tuple(keys))
        self._write_one_of((" = ", "=", "\t=  "))
        self._write_value(path, depth)

    def _write_value(self, path: KeyPath, depth: int) -> None:
        kind = self._draw(st.sampled_from(("scalar", "scalar", "array", "table"))) if depth else "scalar"
        count = self._draw(st.integers(0, 3))
        if kind == "scalar":
            self._write_one_of(SCALARS)
        elif kind == "array":
            self._write_list(path, count, depth)
        else:
            self.text += "{"
            for index in range(count):
                self._write_one_of(SPACES)
                self._write_assignment(path, depth - 1)
                self._write_one_of(SPACES)
                self.text += "," if index < count - 1 else ""
            self.text += "}"

    def _write_list(self, path: KeyPath, count: int, depth: int) -> None:
        self.text += "["
        for index in range(count):
            self._write_one_of(ARRAY_SPACES)
            self.lines[(*path, index)] = self._line()
            self._write_value((*path, index), depth - 1)
            self._write_one_of(ARRAY_SPACES)
            if index < count - 1 or self._draw(st.booleans()):
                self.text += ","
        self._write_one_of(ARRAY_SPACES)
        self.text += "]"


@st.composite
def documents(draw: DrawFn) -> Document:
    """A valid document of all that TOML has."""
    writer = Writer(draw)
    for _ in range(draw(st.integers(0, 8))):
        writer.write_statement()
    return Document(writer.text, writer.lines)
