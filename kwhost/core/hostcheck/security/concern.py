"""One thing that was looked at: its state, what it risks, and what to do."""

from enum import Enum
from typing import NamedTuple

__all__ = ["Concern", "State", "to_do"]


class State(Enum):
    """How a host does in one respect."""

    OK = "ok"
    RISK = "risk"  # there is something to do
    UNKNOWN = "unknown"  # this host does not tell


class Concern(NamedTuple):
    """What was looked at and seen; what the wrong state risks; what to do where it is wrong."""

    name: str
    state: State
    seen: str
    risk: str
    advice: str = ""


def to_do(concerns: list[Concern]) -> list[Concern]:
    """Those with something to do."""
    return [concern for concern in concerns if concern.state is State.RISK]
