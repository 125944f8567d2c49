"""Tables with known keys, and tables of named tables: kinds too, so that they nest."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kwhost.core.config.kinds import Kind, refuse
from kwhost.core.config.problems import Place
from kwhost.core.errors import UsageError

__all__ = ["AnyTable", "Key", "Named", "Settings", "Table", "nearest"]

# The keys that a table of the file sets, by name; their types are those of the keys' kinds.
Settings = dict[str, Any]


def nearest(name: str, valid: list[str], what: str) -> str:
    """A hint at what was meant."""
    near = difflib.get_close_matches(name, valid, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; {what} {', '.join(valid)}" if valid else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a table: `default` and `example` as the file would have them, `meaning` in one line.

    An empty default means none; what then applies is for the meaning to say.
    """

    name: str
    kind: Kind
    meaning: str
    example: str
    default: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with known keys; `later` are keys of kwhost's contract that this version does not have."""

    meaning: str
    keys: tuple[Key, ...]
    later: tuple[str, ...] = ()
    words: str = "a table"

    def read(self, value: object, place: Place) -> Settings | None:
        """The keys that are set and right; all else is reported."""
        if not isinstance(value, dict):
            refuse(self, value, place)
            return None
        known = {key.name: key for key in self.keys}
        settings = {}
        for name, entry in value.items():
            if name in known:
                settings[name] = known[name].kind.read(entry, place.below(name))
            elif name in self.later:
                place.below(name).report("is not available yet")
            else:
                place.below(name).report(f"unknown key{nearest(name, list(known), 'the keys are')}")
        for key in self.keys:
            if key.required and key.name not in value:
                place.report(f"has no {key.name}: write for example {key.name} = {key.example}")
        return {name: setting for name, setting in settings.items() if setting is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A table of tables that the operator names; `check_name` raises UsageError for what is no name."""

    item: Kind
    check_name: Callable[[str], str]
    words: str = "a table of tables"

    def read(self, value: object, place: Place) -> dict[str, Any] | None:
        """What each name stands for, without those that are no tables."""
        if not isinstance(value, dict):
            refuse(self, value, place)
            return None
        items = {}
        for name, entry in value.items():
            below = place.below(name)
            try:
                self.check_name(name)
            except UsageError as error:
                below.report(str(error))
            items[name] = self.item.read(entry, below)
        return {name: item for name, item in items.items() if item is not None}


@dataclass(frozen=True, slots=True)
class AnyTable:
    """A table whose keys somebody else knows."""

    words: str = "a table"

    def read(self, value: object, place: Place) -> dict[str, Any] | None:
        """The table as it is."""
        if isinstance(value, dict):
            return value
        refuse(self, value, place)
        return None
