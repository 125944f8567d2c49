"""The difference between two states of nftables as the text of one transaction. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from kwhost.net.elements import COUNTED_SETS
from kwhost.net.names import Owner, kind_of, table_name, table_words
from kwhost.net.rules import FAMILIES
from kwhost.net.state import Element, Key, State, Tables, TableSet
from kwhost.net.steps import ChangeTables

__all__ = ["change_tables", "remove_tables"]

# Their keys begin with so many names of interfaces; in others such names are recognised: they are kwhost's.
_INTERFACES = {"uplinks": 1, "across4": 2, "across6": 2}
_Change = tuple[TableSet, Key, Element]


def change_tables(desired: State, actual: State) -> Iterator[ChangeTables]:
    """One step, or none."""
    owner, wanted, found = desired.owner, desired.tables, actual.tables
    if wanted.rules is None:
        if found != Tables():
            yield ChangeTables(remove_tables(owner), remove_tables(owner))
        return
    deleted: list[_Change] = []
    added: list[_Change] = []
    for place in wanted.elements.keys() | found.elements.keys():
        if place in COUNTED_SETS:
            deleted += _stale(place, found.elements[place], wanted.counted)
            continue
        old, new = found.elements.get(place, {}), wanted.elements.get(place, {})
        deleted += [(place, key, old[key]) for key in sorted(old) if new.get(key) != old[key]]
        added += [(place, key, new[key]) for key in sorted(new) if new[key] != old.get(key)]
    renewed = "" if found.rules == wanted.rules else _renewed(owner, wanted.rules)
    change = renewed + _commands("delete", owner, deleted) + _commands("add", owner, added)
    if change:
        everything = [
            (place, key, element)
            for place, elements in wanted.elements.items()
            for key, element in elements.items()
        ]
        anew = remove_tables(owner) + wanted.rules + _commands("add", owner, everything)
        yield ChangeTables(change, anew)


def remove_tables(owner: Owner) -> str:
    """Text that removes an owner's tables, whether there are any or not."""
    names = [table_words(family, owner) for family in FAMILIES]
    return "".join(f"{name} {{ }}\ndelete {name}\n" for name in names)


def _renewed(owner: Owner, rules: str) -> str:
    """New rules around the sets that are there, whose elements count and limit."""
    names = [table_words(family, owner) for family in FAMILIES]
    return "".join(f"{name} {{ }}\nflush {name}\n" for name in names) + rules


def _stale(place: TableSet, found: Mapping[Key, Element], counted: frozenset[Key]) -> Iterator[_Change]:
    for key, element in found.items():
        if key[:1] not in counted:
            yield place, key, element


def _commands(verb: str, owner: Owner, changes: Iterable[_Change]) -> str:
    texts: dict[TableSet, list[str]] = defaultdict(list)
    for place, key, element in changes:
        names = _INTERFACES.get(place.name, 0)
        texts[place].append(_element(key, element if verb == "add" else Element(), names))
    return "".join(
        f"{verb} element {place.family} {table_name(owner)} {place.name} {{ {', '.join(texts[place])} }}\n"
        for place in sorted(texts)
    )


def _element(key: Key, element: Element, names: int) -> str:
    quoted = (f'"{part}"' if place < names or kind_of(part) else part for place, part in enumerate(key))
    text = " . ".join(quoted)
    return f"{text} {element.statement}".rstrip() + (f" : {element.data}" if element.data else "")
