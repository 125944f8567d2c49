"""Mistakes in a configuration: collected, each with its place, and told all at once."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from kwhost.core.config.positions import KeyPath
from kwhost.core.errors import ConfigError

__all__ = ["NO_LINE", "ConfigErrors", "Place", "Problems", "show_path", "show_value"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 60
# Of keys that stand in no file.
NO_LINE = 0


class ConfigErrors(ConfigError):  # noqa: N818 - it holds many
    """All that is wrong with a configuration: `lines`, one mistake each; its text is all of them."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def show_path(path: KeyPath) -> str:
    """A key with the tables that it is in, as TOML writes it; elements of a list as [0], [1], ..."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.fullmatch(part) else json.dumps(part))
    return text


def show_value(value: object) -> str:
    """A value as TOML writes it, cut where it is long; of tables and lists only what they are."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and value.bit_length() > _SHOWN:
        return "a huge number"
    text = json.dumps(value) if isinstance(value, str | bool) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


class Problems:
    """The mistakes of one file; `lines` has the line of each key."""

    def __init__(self, file: Path, lines: Mapping[KeyPath, int]) -> None:
        self._file = file
        self._lines = lines
        self._found: list[tuple[int, str]] = []

    def where(self, path: KeyPath) -> str:
        """FILE:LINE: KEY, as a mistake begins."""
        line = self._line(path)
        text = str(self._file) if line == NO_LINE else f"{self._file}:{line}"
        return f"{text}: {show_path(path)}" if path else text

    def is_set(self, path: KeyPath) -> bool:
        """The file has this key, right or wrong."""
        return path in self._lines

    def add(self, path: KeyPath, text: str) -> None:
        """What is wrong with a key."""
        self._found.append((self._line(path), f"{self.where(path)}: {text}"))

    def add_elsewhere(self, path: KeyPath, line: str) -> None:
        """A complete line on what stands in another file, which a key names."""
        self._found.append((self._line(path), line))

    def raise_any(self) -> None:
        """Raise ConfigErrors, in the file's order, where there are mistakes."""
        if self._found:
            raise ConfigErrors(tuple(text for _, text in sorted(self._found, key=lambda found: found[0])))

    def _line(self, path: KeyPath) -> int:
        """The line of a key; of one that is missing, that of the table it would be in."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


class Place(NamedTuple):
    """A key of the file, where mistakes are reported."""

    problems: Problems
    path: KeyPath = ()

    def below(self, *keys: str | int) -> "Place":
        """The place of a key or element inside."""
        return Place(self.problems, (*self.path, *keys))

    def is_set(self) -> bool:
        """The file has this key, right or wrong."""
        return self.problems.is_set(self.path)

    def report(self, text: str) -> None:
        """Note what is wrong here."""
        self.problems.add(self.path, text)
