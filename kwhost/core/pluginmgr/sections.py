"""Plugins' sections of the configuration: tables become objects of the plugin's own type, and all mistakes in
them are found at once."""

import dataclasses
import difflib
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from kwhost.core.pluginmgr.answers import is_record_type
from kwhost.core.pluginmgr.faults import PluginFault, call_bounded
from kwhost.hookspecs import DEADLINE_SECONDS

__all__ = ["SectionProblem", "read_section"]


# Keys of tables, and places in lists from 0.
KeyPath = tuple[str | int, ...]


class SectionProblem(NamedTuple):
    """What is wrong, and the keys that lead there: the plugin's name first."""

    keys: KeyPath
    text: str


class _Field(NamedTuple):
    type: object
    required: bool


def _fields(kind: Any) -> dict[str, _Field]:  # of the two kinds of class there is no common type
    """A record type's fields by the names that they have in a table."""
    if issubclass(kind, msgspec.Struct):
        tag = kind.__struct_config__.tag_field
        return {
            field.encode_name: _Field(field.type, field.required) for field in msgspec.structs.fields(kind)
        } | ({tag: _Field(str | int, required=True)} if tag else {})
    hints = get_type_hints(kind, include_extras=True)
    missing = dataclasses.MISSING
    return {
        field.name: _Field(hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(kind)
        if field.init
    }


def _unknown(keys: KeyPath, known: Mapping[str, object]) -> SectionProblem:
    near = difflib.get_close_matches(str(keys[-1]), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known) or 'none at all'}"
    return SectionProblem(keys, f"unknown key; {hint}")


def _members(kind: object) -> tuple[object, ...]:
    """What a value of the type may be: the types of a union, without annotations."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(member for each in get_args(kind) for member in _members(each))
    return (kind,)


def _entries(kind: object, value: object) -> Iterator[tuple[str | int, object, object]]:
    """Of a list, or a table that is no record: the key, the type and the value of what is in it."""
    inner = get_args(kind)
    if isinstance(value, Mapping) and len(inner) == 2 and inner[1] is not Ellipsis:
        for key, entry in value.items():
            yield key, inner[1], entry
    elif isinstance(value, list) and inner:
        each = len(inner) == 1 or inner[1] is Ellipsis
        for index, (entry, of) in enumerate(
            zip(value, inner[:1] * len(value) if each else inner, strict=False)
        ):
            yield index, of, entry


def _find_problems(kind: object, value: object, keys: KeyPath) -> list[SectionProblem]:
    members = _members(kind)
    records = [member for member in members if is_record_type(member)]
    problems: list[SectionProblem] = []
    if isinstance(value, Mapping) and len(records) == 1:
        problems = _find_in_record(records[0], value, keys)
    else:
        for member in members:
            for key, of, entry in _entries(member, value):
                problems += _find_problems(of, entry, (*keys, key))
    # Its own rules make sense where all that is in it does.
    return problems or _convert(kind, value, keys)


def _find_in_record(kind: object, table: Mapping[str, object], keys: KeyPath) -> list[SectionProblem]:
    fields = _fields(kind)
    problems = [_unknown((*keys, str(key)), fields) for key in table if key not in fields]
    for name, entry in fields.items():
        if name in table:
            problems += _find_problems(entry.type, table[name], (*keys, name))
        elif entry.required:
            problems.append(SectionProblem((*keys, name), "is missing"))
    return problems


def _convert(kind: object, value: object, keys: KeyPath) -> list[SectionProblem]:
    try:
        msgspec.convert(value, type=kind)
    except msgspec.ValidationError as error:
        return [SectionProblem(keys, str(error))]
    return []


def read_section(
    name: str, kind: type[object], table: Mapping[str, object]
) -> tuple[object, list[SectionProblem]]:
    """The section of the plugin `name` as an object of its type, or everything that is wrong with it."""
    keys: KeyPath = (name,)

    def read() -> tuple[object, list[SectionProblem]]:
        problems = _find_problems(kind, table, keys)
        return (None, problems) if problems else (msgspec.convert(table, type=kind), [])

    try:
        return call_bounded(read, DEADLINE_SECONDS)  # types may have code of their own
    except PluginFault as fault:
        return None, [SectionProblem(keys, f"the plugin cannot read it: {fault}")]
