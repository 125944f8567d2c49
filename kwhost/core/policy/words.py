"""The texts of the language: actions, numbers, conditions on arguments, rates."""

import difflib
import errno
import re
from collections.abc import Iterable
from typing import NamedTuple

from kwhost.core.errors import UsageError
from kwhost.core.policy.calls import CALLS, Width
from kwhost.core.policy.constants import CONSTANTS
from kwhost.core.policy.model import DENY, Access, Action, Comparison, Condition, Verdict
from kwhost.core.policy.sets import SETS, expand

__all__ = [
    "FORK",
    "Rate",
    "parse_access",
    "parse_calls",
    "parse_condition",
    "parse_number",
    "parse_rate",
    "parse_rated_calls",
    "parse_verdict",
]

# In limits: whatever makes a process or thread; C libraries make fork() a clone.
FORK = "fork"
_FORK_CALLS = frozenset(("fork", "vfork", "clone", "clone3"))
_ERRORS = {name: number for number, name in errno.errorcode.items()} | {
    alias: getattr(errno, alias) for alias in ("EWOULDBLOCK", "EDEADLOCK", "EOPNOTSUPP", "ENOTSUP")
}
_NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})")
_MASKED = re.compile(r"&(.*)==(.*)")
_BOUND = re.compile(r"(>=|<=)(.*)")
_RATE = re.compile(r"([0-9]{1,6})/(s|m|h)")
_PERIODS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000}
_COUNT_MAX = 65_535


class Rate(NamedTuple):
    """So many calls in so many milliseconds."""

    calls: int
    period_ms: int


def _hint(name: str, valid: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(valid), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def parse_verdict(text: str) -> Verdict:
    """Read allow, log, ask, deny, errno:NAME or kill. Raises UsageError."""
    if text == "deny":
        return DENY
    word, colon, name = text.partition(":")
    if word == "errno" and colon:
        if name not in _ERRORS:
            raise UsageError(f"there is no error {name!r}{_hint(name, _ERRORS)}")
        return Verdict(Action.ERRNO, _ERRORS[name])
    words = [action.value for action in Action if action is not Action.ERRNO]
    if text not in words:
        hint = _hint(text, [*words, "deny"]) or "; write allow, log, ask, deny, errno:NAME or kill"
        raise UsageError(f"there is no action {text!r}{hint}")
    return Verdict(Action(text))


def parse_access(text: str) -> Access:
    """Read any of the letters r, w and x. Raises UsageError."""
    letters = {"r": Access.READ, "w": Access.WRITE, "x": Access.EXECUTE}
    access = Access.NONE
    for letter in text:
        if letter not in letters or letters[letter] in access:
            raise UsageError(
                f'{text!r} is no access: write each of r, w and x once or not at all, as in "rw"'
            )
        access |= letters[letter]
    return access


def parse_calls(name: str) -> frozenset[str]:
    """The calls that a name of a call or set means. Raises UsageError."""
    try:
        return expand(name)
    except KeyError:
        pass
    if name.startswith("@"):
        raise UsageError(f"there is no set {name}{_hint(name, SETS)}")
    hint = _hint(name, CALLS) or (f"; did you mean @{name}?" if f"@{name}" in SETS else "")
    raise UsageError(f"there is no system call {name!r}{hint}")


def parse_rated_calls(name: str) -> frozenset[str]:
    """The same in limits, where fork is more than one call."""
    return _FORK_CALLS if name == FORK else parse_calls(name)


def parse_number(text: str) -> int:
    """Read numbers and names of constants, joined by |. Raises UsageError."""
    number = 0
    for part in text.split("|"):
        word = part.strip()
        if _NUMBER.fullmatch(word):
            number |= int(word, 16 if "x" in word.lower() else 10)
        elif word in CONSTANTS:
            number |= CONSTANTS[word]
        else:
            raise UsageError(f"there is no constant {word!r}{_hint(word, CONSTANTS)}")
    return number


def parse_condition(argument: int, width: Width, value: int | str) -> Condition:
    """Read 5, "AF_INET", "O_CREAT|O_EXCL", "& MASK == VALUE", ">= 1024" or "<= 65535". Raises UsageError."""
    comparison, mask, text = Comparison.EQUAL, width.mask, str(value).strip()
    number = text
    if match := _MASKED.fullmatch(text):
        mask, number = _fitting(match[1], width), match[2]
    elif match := _BOUND.fullmatch(text):
        comparison, number = Comparison(match[1]), match[2]
    found = _fitting(number, width)
    if found & ~mask:
        raise UsageError(f"{text!r} never holds: the value has bits outside the mask")
    return Condition(argument, comparison, mask, found, text)


def _fitting(text: str, width: Width) -> int:
    """A number as the register has it."""
    number = parse_number(text)
    if not -(width.mask // 2) - 1 <= number <= width.mask:
        raise UsageError(f"{text.strip()!r} does not fit in the argument's {width.mask.bit_length()} bits")
    return number & width.mask


def parse_rate(text: str) -> Rate:
    """Read 50/s, 600/m or 1000/h. Raises UsageError."""
    match = _RATE.fullmatch(text)
    if not match:
        raise UsageError(f"{text!r} is no rate: write for example 50/s, 600/m or 1000/h")
    count = int(match[1])
    if not 1 <= count <= _COUNT_MAX:
        raise UsageError(f"{text!r}: a rate is from 1 to {_COUNT_MAX} in its time")
    return Rate(count, _PERIODS_MS[match[2]])
