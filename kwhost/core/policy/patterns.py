"""Patterns of paths.

`*` is any text and `?` any byte inside one component, `**` alone in its place any number of components, also
none: `/srv/**` matches /srv and all below it. A backslash takes the meaning from `*`, `?` and itself.
"""

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from kwhost.core.errors import UsageError

__all__ = ["PathPattern", "Specificity", "parse_pattern", "path_of"]

_ANY_COMPONENTS = b"**"
_LENGTH_MAX = 255
_WILDCARDS_MAX = 16
_TOKEN = re.compile(rb"\\[*?\\]|[^\\]", re.DOTALL)
_WILDCARDS = {b"*": rb"[^/]*", b"?": rb"[^/]"}


class Specificity(NamedTuple):
    """Orders the patterns that match one path: the largest decides.

    `prefix` counts the bytes before the first wildcard, `literal` all that are no wildcard; a path without
    any counts as if it ended in a slash, so that it stands beside the subtree below it, and wins by `kind`:
    0 with `**`, 1 with other wildcards, 2 without.
    """

    prefix: int
    literal: int
    kind: int


@dataclass(frozen=True)
class PathPattern:
    """A pattern; two are the same where their texts are. Made by parse_pattern."""

    text: str
    components: tuple[bytes, ...] = field(compare=False)

    @cached_property
    def literal_components(self) -> tuple[bytes, ...]:
        """Those before the first with a wildcard, without backslashes: each path that matches has them."""
        found = []
        for component in self.components:
            if _has_wildcard(component):
                break
            found.append(_unescape(component))
        return tuple(found)

    @cached_property
    def is_literal(self) -> bool:
        """It matches one path only."""
        return len(self.literal_components) == len(self.components)

    @cached_property
    def is_subtree(self) -> bool:
        """Its only wildcard is `**` at its end."""
        return (
            self.components[-1:] == (_ANY_COMPONENTS,)
            and len(self.literal_components) == len(self.components) - 1
        )

    @cached_property
    def specificity(self) -> Specificity:
        """See Specificity."""
        literal = 0
        prefix = None
        for component in self.components:
            literal += 1  # its slash
            for token in _tokens(component):
                if token in _WILDCARDS:
                    prefix = literal if prefix is None else prefix
                else:
                    literal += 1
        if prefix is None:
            literal += 1 if self.components else 0
            return Specificity(max(literal, 1), max(literal, 1), 2)
        return Specificity(prefix, literal, 0 if _ANY_COMPONENTS in self.components else 1)

    @cached_property
    def _expression(self) -> re.Pattern[bytes]:
        return re.compile(b"".join(_component_expression(component) for component in self.components))

    def matches(self, path: bytes) -> bool:
        """Whether an absolute path without `.`, `..` and doubled slashes is one of those meant."""
        return self._expression.fullmatch(b"" if path == b"/" else path) is not None

    def covers(self, other: "PathPattern") -> bool:
        """Each path that `other` matches is matched for certain; False where that cannot be told."""
        if self == other:
            return True
        if self.is_subtree:
            return other.literal_components[: len(self.literal_components)] == self.literal_components
        return other.is_literal and self.matches(path_of(other.literal_components))

    def excludes(self, other: "PathPattern") -> bool:
        """No path is matched by both for certain; False where that cannot be told."""
        if self.is_literal:
            return not other.matches(path_of(self.literal_components))
        if other.is_literal:
            return not self.matches(path_of(other.literal_components))
        pairs = zip(self.literal_components, other.literal_components, strict=False)
        return any(mine != theirs for mine, theirs in pairs)

    def __str__(self) -> str:
        return self.text


def parse_pattern(text: str) -> PathPattern:
    """Read a pattern. Raises UsageError."""
    data = os.fsencode(text)
    if not data.startswith(b"/"):
        raise UsageError(f"{text!r} is no absolute path: write for example /srv/**")
    if len(data) > _LENGTH_MAX:
        raise UsageError(f"the path has {len(data)} bytes; {_LENGTH_MAX} are allowed")
    components = tuple(data[1:].split(b"/")) if data != b"/" else ()
    for component in components:
        _check_component(text, component)
    wildcards = sum(token in _WILDCARDS for component in components for token in _tokens(component))
    if wildcards > _WILDCARDS_MAX:
        raise UsageError(f"{text!r} has {wildcards} wildcards; {_WILDCARDS_MAX} are allowed")
    return PathPattern(text, components)


def _check_component(text: str, component: bytes) -> None:
    if component == b"":
        raise UsageError(
            f"{text!r} has an empty name between slashes or at its end: for a directory and "
            "all in it write /DIRECTORY/**"
        )
    if component in (b".", b".."):
        raise UsageError(f"{text!r} has {component.decode()!r} in it: write the path that it leads to")
    if b"".join(_tokens(component)) != component:
        raise UsageError(f"{text!r} has a backslash before something else than *, ? and \\")
    if component != _ANY_COMPONENTS and [b"*", b"*"] in _pairs(component):
        raise UsageError(f"{text!r} has ** beside other characters: it stands for whole names, as in /srv/**")


def _tokens(component: bytes) -> list[bytes]:
    return _TOKEN.findall(component)


def _pairs(component: bytes) -> list[list[bytes]]:
    tokens = _tokens(component)
    return [tokens[index : index + 2] for index in range(len(tokens) - 1)]


def _has_wildcard(component: bytes) -> bool:
    return any(token in _WILDCARDS for token in _tokens(component))


def _unescape(component: bytes) -> bytes:
    return b"".join(token[-1:] for token in _tokens(component))


def path_of(components: tuple[bytes, ...]) -> bytes:
    """The absolute path of these names."""
    return b"/" + b"/".join(components)


def _component_expression(component: bytes) -> bytes:
    if component == _ANY_COMPONENTS:
        return rb"(?:/[^/]+)*"
    return b"/" + b"".join(_WILDCARDS.get(token) or re.escape(token[-1:]) for token in _tokens(component))
