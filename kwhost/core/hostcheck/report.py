"""One finding about the host, and what it means for an engine."""

from enum import Enum
from typing import NamedTuple

__all__ = ["Finding", "Verdict", "can_run"]


class Verdict(Enum):
    """How a finding matters."""

    OK = "ok"
    WEAKER = "weaker"  # kwhost works, with something slower, smaller or less comfortable
    MISSING = "missing"  # an engine that needs it cannot run


class Finding(NamedTuple):
    """What was looked at, what was seen, and the advice where something is missing."""

    name: str
    verdict: Verdict
    seen: str
    advice: str = ""
    engines: tuple[str, ...] = ("direct", "kernel", "process")


def can_run(engine: str, findings: list[Finding]) -> bool:
    """Whether nothing that the engine needs is missing."""
    return not any(entry.verdict is Verdict.MISSING for entry in findings if engine in entry.engines)
