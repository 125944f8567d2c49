"""What comes in, made into records, and records made into JSON. What comes in is hostile.

The standard reader is used for what comes in, because it can be made to refuse what has two meanings:
repeated keys, numbers that are none, texts that no system call could take.
"""

import difflib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from kwhost.core.api.routes import Parameter
from kwhost.core.errors import UsageError

__all__ = ["decode_body", "decode_query", "encode_body"]

_Body = TypeVar("_Body")

# A number with more digits than this is no quantity, and would be slow to read.
_DIGITS_MAX = 40
_NUMBER_MAX = 2**63
_FIELDS_MAX = 32


def _nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there is {', '.join(names)}" if names else "; there is none"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UsageError(f"the field {twice!r} stands twice in one object")
    return content


def _whole(text: str) -> int:
    if len(text) > _DIGITS_MAX:
        raise UsageError(f"a number has {len(text)} digits; {_DIGITS_MAX} is the most")
    return int(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise UsageError(f"the number {text[:_DIGITS_MAX]} is too large")
    return value


def _constant(text: str) -> NoReturn:
    raise UsageError(f"{text} is no number in JSON")


def _parse(data: bytes) -> object:
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_whole,
            parse_float=_fraction,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise UsageError(f"the request's body is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"the request's body is not JSON: {error.msg} ({place})") from error


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for element in value:
                yield from _texts(element)
        case dict():
            for key, element in value.items():
                yield key
                yield from _texts(element)


def _check_texts(value: object) -> None:
    """Programs get texts as bytes without NUL; what is not UTF-8 comes as os.fsdecode shows it."""
    for text in _texts(value):
        if "\0" in text:
            raise UsageError("a text in the request's body has a NUL character")
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise UsageError("a text in the request's body has half a character") from error


def _check_fields(value: object, kind: inspect.Type, place: str) -> None:
    """msgspec leaves out fields that a dataclass does not have; here they are refused by name."""
    match kind:
        case inspect.DataclassType() | inspect.StructType() if isinstance(value, dict):
            fields = {entry.encode_name: entry.type for entry in kind.fields}
            for name, content in value.items():
                where = f"{place}.{name}" if place else name
                if name not in fields:
                    raise UsageError(f"unknown field {where}{_nearest(name, fields)}")
                _check_fields(content, fields[name], where)
        case inspect.VarTupleType() | inspect.ListType() if isinstance(value, list):
            for index, element in enumerate(value):
                _check_fields(element, kind.item_type, f"{place}[{index}]")
        case inspect.UnionType():
            for member in kind.types:
                _check_fields(value, member, place)
        case _:
            pass


@cache
def _type_info(kind: type[Any]) -> inspect.Type:
    """Cached: msgspec looks at every field's annotation again, which takes longer than a small request."""
    return inspect.type_info(kind)


def _convert(data: bytes, kind: type[_Body]) -> _Body:
    value = _parse(data) if data.strip() else {}
    _check_texts(value)
    _check_fields(value, _type_info(kind), "")  # type: ignore[arg-type] # mypy: classes cannot be hashed
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise UsageError(f"the request's body is wrong: {error}") from error


def decode_body(data: bytes, kind: type[_Body]) -> _Body:
    """The record that a body holds; no body is an empty object. Raises UsageError."""
    try:
        return _convert(data, kind)
    except RecursionError as error:
        raise UsageError("the request's body is nested too deeply") from error


def _query_value(parameter: Parameter, text: str) -> object:
    """A parameter's value; numbers are never negative."""
    if parameter.type is bool and text.lower() in ("1", "true", "0", "false"):
        return text.lower() in ("1", "true")
    if parameter.type is str and text and "\0" not in text:
        return text
    if parameter.type in (int, float) and len(text) <= _DIGITS_MAX:
        try:
            number = parameter.type(text)
        except ValueError:
            number = -1
        if math.isfinite(number) and 0 <= number < _NUMBER_MAX:
            return number
    words = {bool: "true or false", str: "a text", int: "a whole number", float: "a number"}
    raise UsageError(f"{parameter.name}={text[:_DIGITS_MAX]}: must be {words[parameter.type]}")


def decode_query(query: str, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """The values of the parameters that a query gives. Raises UsageError."""
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError as error:
        raise UsageError(f"the query has more than {_FIELDS_MAX} parameters") from error
    for name, text in pairs:
        if name not in known:
            raise UsageError(f"unknown parameter {name}{_nearest(name, known)}")
        if name in values:
            raise UsageError(f"the parameter {name} stands twice")
        values[name] = _query_value(known[name], text)
    for parameter in parameters:
        if parameter.required and parameter.name not in values:
            raise UsageError(f"the parameter {parameter.name} is needed: {parameter.summary}")
    return values


def encode_body(value: object) -> bytes:
    """JSON on one line. Texts that are not UTF-8, as programs' arguments may be, are shown as os.fsdecode
    does, which msgspec's own writer refuses."""
    return json.dumps(msgspec.to_builtins(value), allow_nan=False, separators=(",", ":")).encode("ascii")
