"""From a file's bytes to its values and the place of each; syntax errors become lines as others."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kwhost.core.config.positions import KeyPath, key_lines
from kwhost.core.config.problems import NO_LINE, ConfigErrors, Place, Problems

__all__ = ["Document", "parse_document", "table_document"]

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)")


class Document(NamedTuple):
    """The values as tomllib gives them, and the place of the whole."""

    values: dict[str, object]
    top: Place


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigErrors((f"{path}:{line}: this is not UTF-8 text",)) from error


def _syntax_error(path: Path, text: str, message: str) -> ConfigErrors:
    """What tomllib says, with its position where all other lines have it."""
    match = _POSITION.search(message)
    line = match[1] if match and match[1] else str(text.count("\n") + 1)
    column = f" at column {match[2]}" if match and match[2] else ""
    return ConfigErrors((f"{path}:{line}: this is not TOML: {_POSITION.sub('', message)}{column}",))


def parse_document(path: Path, data: bytes) -> Document:
    """Read a file's content. Raises ConfigErrors where it is no TOML."""
    text = _decode(path, data)
    try:
        values = tomllib.loads(text)
        lines = key_lines(text)
    except ValueError as error:  # also numbers with thousands of digits
        raise _syntax_error(path, text, str(error)) from error
    except RecursionError as error:
        raise ConfigErrors((f"{path}:1: lists and tables are nested too deeply",)) from error
    return Document(values, Place(Problems(path, lines)))


def table_document(name: str, values: Mapping[str, object]) -> Document:
    """A table that stands in no file: mistakes in it begin with `name`, and have no line."""
    lines = dict.fromkeys(_key_paths(values, ()), NO_LINE)
    return Document(dict(values), Place(Problems(Path(name), {(): NO_LINE, **lines})))


def _key_paths(value: object, path: KeyPath) -> Iterator[KeyPath]:
    """Of all that is in a table or list."""
    entries: list[tuple[str | int, object]] = []
    if isinstance(value, Mapping):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    for key, entry in entries:
        yield (*path, key)
        yield from _key_paths(entry, (*path, key))
