"""Plugins' sections of the configuration: tables become objects of the plugin's own type, and all mistakes in
them are found at once."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple, get_type_hints

import msgspec

from kwhost.core.pluginmgr.answers import is_record_type
from kwhost.core.pluginmgr.faults import PluginFault, call_bounded
from kwhost.hookspecs import DEADLINE_SECONDS

__all__ = ["SectionProblem", "read_section"]


class SectionProblem(NamedTuple):
    """What is wrong, and the keys that lead there: the plugin's name first."""

    keys: tuple[str, ...]
    text: str


class _Field(NamedTuple):
    type: object
    required: bool


def _fields(kind: Any) -> dict[str, _Field]:  # of the two kinds of class there is no common type
    """A record type's fields by the names that they have in a table."""
    if issubclass(kind, msgspec.Struct):
        return {
            field.encode_name: _Field(field.type, field.required) for field in msgspec.structs.fields(kind)
        }
    hints = get_type_hints(kind, include_extras=True)
    missing = dataclasses.MISSING
    return {
        field.name: _Field(hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(kind)
        if field.init
    }


def _unknown(keys: tuple[str, ...], known: Mapping[str, object]) -> SectionProblem:
    near = difflib.get_close_matches(keys[-1], known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known) or 'none at all'}"
    return SectionProblem(keys, f"unknown key; {hint}")


def _find_problems(kind: object, value: object, keys: tuple[str, ...]) -> list[SectionProblem]:
    if not (is_record_type(kind) and isinstance(value, Mapping)):
        return _convert(kind, value, keys)
    fields = _fields(kind)
    problems = [_unknown((*keys, str(key)), fields) for key in value if key not in fields]
    for name, entry in fields.items():
        if name in value:
            problems += _find_problems(entry.type, value[name], (*keys, name))
        elif entry.required:
            problems.append(SectionProblem((*keys, name), "is missing"))
    # The record's own rules make sense where each of its fields does.
    return problems or _convert(kind, value, keys)


def _convert(kind: object, value: object, keys: tuple[str, ...]) -> list[SectionProblem]:
    try:
        msgspec.convert(value, type=kind)
    except msgspec.ValidationError as error:
        return [SectionProblem(keys, str(error))]
    return []


def read_section(
    name: str, kind: type[object], table: Mapping[str, object]
) -> tuple[object, list[SectionProblem]]:
    """The section of the plugin `name` as an object of its type, or everything that is wrong with it."""
    keys = (name,)

    def read() -> tuple[object, list[SectionProblem]]:
        problems = _find_problems(kind, table, keys)
        return (None, problems) if problems else (msgspec.convert(table, type=kind), [])

    try:
        return call_bounded(read, DEADLINE_SECONDS)  # types may have code of their own
    except PluginFault as fault:
        return None, [SectionProblem(keys, f"the plugin cannot read it: {fault}")]
