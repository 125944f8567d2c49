"""What an instance did and what that cost."""

from typing import NamedTuple

__all__ = ["CallStatistics", "CountedRule", "Crash", "InstanceStatistics"]


class CallStatistics(NamedTuple):
    """Of one system call; `histogram[i]` is how many took 2^i to 2^(i+1) ns, up to the last that is not 0."""

    number: int
    name: str
    calls: int
    failed: int
    refused: int
    seconds: float
    histogram: tuple[int, ...] = ()


class CountedRule(NamedTuple):
    """A rule of a policy, and how often it decided: `hits` verdicts other than plain permission, `denied`
    those of them that refused."""

    layer: str
    policy: str
    text: str
    hits: int
    denied: int


class Crash(NamedTuple):
    """The fault that ended the first process."""

    signal: int
    address: int
    instruction: int
    mapping: str


class InstanceStatistics(NamedTuple):
    """As the monitors counted it; start_seconds is None before the first guest instruction.

    The engine `process` has no monitors: with `notified_only`, `calls` has only those calls that its filter
    asked about, and what nobody counted is None.
    """

    start_seconds: float | None
    exits: int | None
    faults: int | None
    processes: int | None
    threads: int | None
    peak_memory: int | None
    calls: tuple[CallStatistics, ...]
    crash: Crash | None = None
    notified_only: bool = False

    @property
    def call_count(self) -> int | None:
        """All system calls together."""
        return None if self.notified_only else sum(call.calls for call in self.calls)

    @property
    def notified_count(self) -> int | None:
        """All that the filter asked about, where it asks about some only."""
        return sum(call.calls for call in self.calls) if self.notified_only else None
