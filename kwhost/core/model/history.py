"""What an instance has used over time."""

from dataclasses import dataclass

__all__ = ["History", "Sample"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What `Usage` said at `time` (seconds since 1970); None: not known. Counters begin anew with each start
    of the instance."""

    time: float
    cpu_seconds: float | None = None
    memory: int | None = None
    calls: int | None = None
    refused: int | None = None
    sent_bytes: int | None = None
    received_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Samples about `seconds` apart, oldest first; there is none for the time in which it did not run."""

    seconds: float
    samples: tuple[Sample, ...] = ()
