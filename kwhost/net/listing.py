"""What libnftables lists, as values that can be compared with what is wanted."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kwhost.net.names import Owner, table_name, table_words
from kwhost.net.nft import Nft
from kwhost.net.rules import FAMILIES
from kwhost.net.state import Element, Key, TableSet

__all__ = ["Listing", "Tally", "read_tables"]

# A set that every version has.
_ALWAYS = {"inet": "bridges", "bridge": "ports"}


class Tally(NamedTuple):
    """What an element of a counting set counted."""

    packets: int
    bytes: int


class Listing(NamedTuple):
    """The tables as they are; `rules` stands for all chains and rules, None where a table is missing.
    `strangers` are tables of these names that others made."""

    rules: str | None
    elements: dict[TableSet, dict[Key, Element]]
    tallies: dict[TableSet, dict[Key, Tally]]
    strangers: frozenset[str] = frozenset()


def read_tables(nft: Nft, owner: Owner) -> Listing:
    """Both tables of an owner."""
    rules: list[str] | None = []
    elements: dict[TableSet, dict[Key, Element]] = {}
    tallies: dict[TableSet, dict[Key, Tally]] = {}
    strangers: set[str] = set()
    for family in FAMILIES:
        parts = nft.list_table(family, table_name(owner))
        if parts and not _is_ours(family, parts):
            strangers.add(table_words(family, owner))
            parts = []
        rules = None if rules is None or not parts else rules + list(_rules(parts))
        for part in parts:
            definition = part.get("set") or part.get("map")
            if not definition or definition["name"].startswith("special"):
                continue
            place = TableSet(family, definition["name"])
            elements[place] = {}
            for entry in definition.get("elem", ()):
                key, element, tally = _entry(entry)
                elements[place][key] = element
                if tally:
                    tallies.setdefault(place, {})[key] = tally
    return Listing(None if rules is None else "\n".join(rules), elements, tallies, frozenset(strangers))


def _is_ours(family: str, parts: Iterable[dict[str, Any]]) -> bool:
    """A table is made with its sets at once, and these last as long as it does; an empty one is anybody's."""
    contents = [part for part in parts if not {"metainfo", "table"} & part.keys()]
    names = {part["set"]["name"] for part in contents if "set" in part}
    return not contents or _ALWAYS[family] in names


def _rules(parts: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Chains and rules without the numbers that the kernel gave them."""
    for part in parts:
        for kind in ("chain", "rule"):
            if kind in part:
                yield json.dumps({name: value for name, value in part[kind].items() if name != "handle"})
        special = part.get("set")
        if special and special["name"].startswith("special"):
            yield json.dumps(special.get("elem"))


def _entry(entry: Any) -> tuple[Key, Element, Tally | None]:
    data = ""
    if isinstance(entry, list):  # of a map
        entry, value = entry
        data = " . ".join(_key(value))
    statement, tally = "", None
    if isinstance(entry, dict) and "elem" in entry:
        statement, tally = _statement(entry["elem"])
        entry = entry["elem"]["val"]
    return _key(entry), Element(data, statement), tally


def _key(value: Any) -> Key:
    parts = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    return tuple(_part(part) for part in parts)


def _part(value: Any) -> str:
    if isinstance(value, dict) and "jump" in value:
        return f"jump {value['jump']['target']}"
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    if isinstance(value, dict) and "range" in value:
        return "-".join(str(end) for end in value["range"])
    return str(value)


def _statement(element: dict[str, Any]) -> tuple[str, Tally | None]:
    if limit := element.get("limit"):
        return f"limit rate over {limit['rate']}/{limit['per']} burst {limit['burst']} packets", None
    if counter := element.get("counter"):
        return "", Tally(counter["packets"], counter["bytes"])
    return "", None
