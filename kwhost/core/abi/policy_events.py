"""What `supervise` tells of policies at work: calls that were logged or denied, questions and their ends.

Their texts quote the instance: numbers are bounded, and what does not fit is no event.
"""

from enum import Enum
from typing import NamedTuple

from kwhost.core.abi._abi import lib
from kwhost.core.abi.messages import Event

__all__ = ["AskedCall", "DeniedAction", "DeniedCall", "QuestionEnd", "read_denied", "read_question"]

_NUMBER_MAX = 2**32 - 1
_REGISTER_MAX = 2**64 - 1
_ARGUMENTS = 6
_DENIED_WORDS = 4 + _ARGUMENTS + 1
_QUESTION_WORDS = 4 + _ARGUMENTS


class DeniedAction(Enum):
    """What a rule did to a call."""

    LOG = lib.KW_POLICY_LOG
    ASK = lib.KW_POLICY_ASK
    ERRNO = lib.KW_POLICY_ERRNO
    KILL = lib.KW_POLICY_KILL


class QuestionEnd(Enum):
    """How a question ended (ANSWERED's `extra`)."""

    REFUSED = 0
    ALLOWED = 1
    TIMEOUT = 2
    WITHDRAWN = 3


class DeniedCall(NamedTuple):
    """A call that a rule (0: none of them) logged or denied; `pid` as in the instance, `object` the path or
    address, `lost` such calls before it that were too many to be told."""

    rule: int
    call: int
    time_ns: int
    pid: int
    action: DeniedAction
    error: int
    arguments: tuple[int, ...]
    lost: int
    object: str


class AskedCall(NamedTuple):
    """A call that waits for an answer for `remaining` more seconds."""

    question: int
    rule: int
    call: int
    pid: int
    remaining: float
    arguments: tuple[int, ...]
    object: str


def _numbers(words: list[str], base: int, highest: int) -> list[int]:
    numbers = [int(word, base) for word in words]
    if not all(0 <= number <= highest for number in numbers):
        raise ValueError(f"a number of {words} is out of range")
    return numbers


def _split(text: str, count: int) -> tuple[list[str], str]:
    """So many words, and the rest."""
    words = text.split(" ", count)
    if len(words) < count:
        raise ValueError("words are missing")
    return words[:count], words[count] if len(words) > count else ""


def read_denied(event: Event) -> DeniedCall | None:
    """Of a DENIED; None where it makes no sense."""
    try:
        words, about = _split(event.text, _DENIED_WORDS)
        pid, _, action, error, lost = _numbers([*words[:4], words[-1]], 10, _NUMBER_MAX)
        return DeniedCall(
            rule=event.value,
            call=event.extra,
            time_ns=event.time_ns,
            pid=pid,
            action=DeniedAction(action),
            error=error,
            arguments=tuple(_numbers(words[4:-1], 16, _REGISTER_MAX)),
            lost=lost,
            object=about,
        )
    except ValueError:
        return None


def read_question(event: Event) -> AskedCall | None:
    """Of a QUESTION; None where it makes no sense."""
    try:
        words, about = _split(event.text, _QUESTION_WORDS)
        question, pid, _, remaining = _numbers(words[:4], 10, _NUMBER_MAX)
        return AskedCall(
            question=question,
            rule=event.value,
            call=event.extra,
            pid=pid,
            remaining=remaining / 1000,
            arguments=tuple(_numbers(words[4:], 16, _REGISTER_MAX)),
            object=about,
        )
    except ValueError:
        return None
