"""What the line behind `/` means. Pure.

web              has "web" in TENANT/NAME
/^a.*[12]$/      is matched by this regular expression; by none where it is not one
~wb1             has these letters in this order (fuzzy)
tenant:acme      and state:, health:, engine:, image: begin with this
!web, !state:ru  all others; several words must all fit
"""

import re
from collections.abc import Callable

from kwhost.tui.fleet import Row

__all__ = ["FIELDS", "matcher"]

FIELDS: dict[str, Callable[[Row], str]] = {
    "tenant": lambda row: row.status.tenant,
    "name": lambda row: row.status.name,
    "state": lambda row: row.status.state.value,
    "health": lambda row: row.status.health.value,
    "engine": lambda row: row.status.engine,
    "image": lambda row: row.status.image,
}


def _fuzzy(wanted: str, text: str) -> bool:
    rest = iter(text)
    return all(character in rest for character in wanted)


def _word(word: str) -> Callable[[Row], bool]:
    if word.startswith("!") and len(word) > 1:
        fits = _word(word[1:])
        return lambda row: not fits(row)
    name, colon, value = word.partition(":")
    if colon and (field := FIELDS.get(name.lower())):
        return lambda row: field(row).lower().startswith(value.lower())
    if word.startswith("~"):
        return lambda row: _fuzzy(word[1:].lower(), row.name.lower())
    if len(word) > 2 and word[0] == word[-1] == "/":
        return _expression(word[1:-1])
    return lambda row: word.lower() in row.name.lower()


def _expression(text: str) -> Callable[[Row], bool]:
    try:
        found = re.compile(text, re.IGNORECASE)
    except re.error:
        return lambda _: False
    return lambda row: found.search(row.name) is not None


def matcher(text: str) -> Callable[[Row], bool]:
    """Whether a row fits the line."""
    tests = [_word(word) for word in text.split()]
    return lambda row: all(test(row) for test in tests)
