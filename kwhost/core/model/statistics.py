"""What an instance did and what that cost."""

from dataclasses import dataclass

__all__ = ["CallStatistics", "Crash", "InstanceStatistics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStatistics:
    """Of one system call."""

    number: int
    name: str
    count: int
    failed: int
    refused: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """The fault that ended the first process."""

    signal: int
    address: int
    instruction: int
    mapping: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStatistics:
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
        return sum(call.count for call in self.calls)
