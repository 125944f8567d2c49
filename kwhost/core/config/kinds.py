"""What a key may hold. Each kind turns a value of the file into kwhost's own, or reports what is wrong."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from kwhost.core.config.problems import Place, show_value
from kwhost.core.errors import KwhostError, UsageError

__all__ = [
    "Boolean",
    "Choice",
    "Command",
    "Kind",
    "ListOf",
    "Number",
    "Quantity",
    "Text",
    "TextTable",
    "refuse",
]


class Kind(Protocol):
    """A kind of value; `words` name it, as in "must be ..." and in the documentation."""

    @property
    def words(self) -> str:
        """Such as "a whole number"."""

    def read(self, value: object, place: Place) -> Any:
        """The value; None where it is wrong, which is then reported."""


def refuse(kind: Kind, value: object, place: Place) -> None:
    """Report a value of another kind."""
    place.report(f"must be {kind.words}, not {show_value(value)}")


def _read_text(text: str, parse: Callable[[str], Any], place: Place) -> Any:
    """What a text stands for, with whatever the parser says against it reported."""
    if "\0" in text:
        place.report("must not have a NUL character")
        return None
    try:
        return parse(text)
    except KwhostError as error:
        place.report(str(error))
        return None


@dataclass(frozen=True, slots=True)
class Boolean:
    """true or false."""

    words: str = "true or false"

    def read(self, value: object, place: Place) -> bool | None:
        """See Kind."""
        if isinstance(value, bool):
            return value
        refuse(self, value, place)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number between two bounds, whole unless `fractional`, and a multiple of `multiple`."""

    low: float
    high: float
    fractional: bool = False
    multiple: int = 1

    @property
    def words(self) -> str:
        """See Kind."""
        number = "number" if self.fractional else "whole number"
        number = f"multiple of {self.multiple}" if self.multiple > 1 else number
        return f"a {number} from {self.low} to {self.high}"

    def read(self, value: object, place: Place) -> float | None:
        """See Kind."""
        types = (int, float) if self.fractional else (int,)
        if not isinstance(value, types) or isinstance(value, bool):
            refuse(self, value, place)
            return None
        if not self.low <= value <= self.high or (self.multiple > 1 and value % self.multiple):
            refuse(self, value, place)
            return None
        return float(value) if self.fractional else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with a unit, written as text, or without one as a number; `show` is for its bounds."""

    words: str
    parse: Callable[[str], float]
    show: Callable[[Any], str]
    low: float
    high: float
    fractional: bool

    def read(self, value: object, place: Place) -> float | None:
        """See Kind."""
        number = _read_text(value, self.parse, place) if isinstance(value, str) else value
        types = (int, float) if self.fractional else (int,)
        if not isinstance(number, types) or isinstance(number, bool):
            if number is value:  # what is no quantity as a text is reported already
                refuse(self, value, place)
            return None
        if not self.low <= number <= self.high:
            bounds = f"from {self.show(self.low)} to {self.show(self.high)}"
            place.report(f"must be {bounds}, not {show_value(value)}")
            return None
        return float(number) if self.fractional else number


@dataclass(frozen=True, slots=True)
class Text:
    """A text; `parse` makes something of it, or raises KwhostError."""

    words: str
    parse: Callable[[str], Any] = str

    def read(self, value: object, place: Place) -> Any:
        """See Kind."""
        if not isinstance(value, str):
            refuse(self, value, place)
            return None
        return _read_text(value, self.parse, place)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of an enumeration's values."""

    members: type[Enum]

    @property
    def words(self) -> str:
        """See Kind."""
        *names, last = (f'"{member.value}"' for member in self.members)
        return f"{', '.join(names)} or {last}"

    def read(self, value: object, place: Place) -> Enum | None:
        """See Kind."""
        for member in self.members:
            if member.value == value:
                return member
        refuse(self, value, place)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list; with `or_one` a single element may stand for a list of it."""

    words: str
    element: Kind
    or_one: bool = False

    def read(self, value: object, place: Place) -> tuple[Any, ...] | None:
        """See Kind."""
        if isinstance(value, list):
            elements = [self.element.read(element, place.below(i)) for i, element in enumerate(value)]
            return tuple(element for element in elements if element is not None)
        if self.or_one and isinstance(value, str):
            element = self.element.read(value, place)
            return None if element is None else (element,)
        refuse(self, value, place)
        return None


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, as a list, or as a text that is split as a shell would."""

    words: str = 'a list such as ["sleep", "60"], or a text such as "sleep 60"'

    def read(self, value: object, place: Place) -> tuple[str, ...] | None:
        """See Kind."""
        if isinstance(value, str):
            words = _read_text(value, _split_command, place)
            return None if words is None else tuple(words)
        if not isinstance(value, list):
            refuse(self, value, place)
            return None
        argument = Text("a text")
        arguments = [argument.read(element, place.below(i)) for i, element in enumerate(value)]
        if None in arguments:
            return None
        if not arguments or not arguments[0]:
            place.report("must name a program")
            return None
        return tuple(arguments)


def _split_command(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"cannot be split as a shell would: {error}") from error
    if not words or not words[0]:
        raise UsageError("must name a program")
    return words


def _check_variable(name: str) -> None:
    if not name or "=" in name or "\0" in name:
        raise UsageError("is no name for a variable: it must not be empty, nor have '=' or NUL")


@dataclass(frozen=True, slots=True)
class TextTable:
    """Texts by their names, such as environment variables; `check_name` raises UsageError."""

    words: str = 'a table of texts such as { MODE = "fast" }'
    check_name: Callable[[str], object] = _check_variable
    text: Text = Text("a text")

    def read(self, value: object, place: Place) -> dict[str, str] | None:
        """See Kind."""
        if not isinstance(value, dict):
            refuse(self, value, place)
            return None
        texts = {}
        for name, entry in value.items():
            below = place.below(name)
            try:
                self.check_name(name)
            except UsageError as error:
                below.report(str(error))
            texts[name] = self.text.read(entry, below)
        return {name: text for name, text in texts.items() if text is not None}
