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
    """As the monitors counted it; start_seconds is None before the first guest instruction."""

    start_seconds: float | None
    exits: int
    faults: int
    processes: int
    threads: int
    peak_memory: int
    calls: tuple[CallStatistics, ...]
    crash: Crash | None = None

    @property
    def call_count(self) -> int:
        """All system calls together."""
        return sum(call.calls for call in self.calls)
