"""What the exporter has to remember between scrapes, so that its counters only grow."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.statistics import CallStatistics
from kwhost.core.model.status import InstanceStatus

__all__ = [
    "BUCKETS",
    "CALLS_MAX",
    "OTHER",
    "CallCounts",
    "CallTimes",
    "NamedCalls",
    "StartTimes",
    "call_times",
]

# Calls of one instance that have a name of their own.
CALLS_MAX = 32
OTHER = "other"

# Seconds; a start takes milliseconds, and on emulated hardware seconds.
BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


# Of places in the monitors' histograms, the ends of these are bounds: 256 ns, 4 us, 66 us, 1 ms, 17 ms,
# 0.3 s, 2 s. All that took longer is in the last place, behind these.
_PLACES = (7, 11, 15, 19, 23, 27, 30)


class CallTimes(NamedTuple):
    """How many calls took so many seconds or less, bound by bound up to all of them; and their time."""

    buckets: list[tuple[str, float]]
    sum: float


def call_times(calls: Sequence[CallStatistics]) -> CallTimes:
    """Of an instance's calls together."""
    places = list(map(sum, zip_longest(*(call.histogram for call in calls), fillvalue=0)))
    buckets = [(repr(2.0 ** (place + 1) / 1e9), float(sum(places[: place + 1]))) for place in _PLACES]
    return CallTimes([*buckets, ("+Inf", float(sum(places)))], sum(call.seconds for call in calls))


@dataclass(slots=True)
class CallCounts:
    """How often a call had each outcome."""

    ok: int = 0
    failed: int = 0
    refused: int = 0

    def add(self, call: CallStatistics) -> None:
        """A refused call is counted as failed by the monitors too. What is neither is ok, or goes on."""
        failed = max(0, call.failed - call.refused)
        self.refused += call.refused
        self.failed += failed
        self.ok += max(0, call.calls - failed - call.refused)


@dataclass(slots=True)
class _Run:
    """One run of an instance: which calls have a name, and how many were ok at the last look."""

    began: float | None
    named: set[str] = field(default_factory=set)
    ok: dict[str, int] = field(default_factory=dict)


class NamedCalls:
    """Counts of calls that never go down while an instance runs: Prometheus would take that for a restart.
    So a call that had a name once keeps it, and one that counted as ok while it went on, and then failed,
    is counted twice until others made up for it."""

    def __init__(self) -> None:
        self._runs: dict[InstanceId, _Run] = {}

    def counts(self, instance: InstanceStatus, calls: Iterable[CallStatistics]) -> dict[str, CallCounts]:
        """The counts by name, the busiest calls first to get one."""
        run = self._runs.get(instance.id)
        if run is None or run.began != instance.started:
            run = self._runs[instance.id] = _Run(instance.started)
        found: dict[str, CallCounts] = {}
        for call in sorted(calls, key=lambda call: -call.calls):
            if call.name not in run.named and len(run.named) < CALLS_MAX:
                run.named.add(call.name)
            found.setdefault(call.name if call.name in run.named else OTHER, CallCounts()).add(call)
        for name, counts in found.items():
            counts.ok = run.ok[name] = max(counts.ok, run.ok.get(name, 0))
        return found

    def keep(self, instances: Iterable[InstanceId]) -> None:
        """Forget all others."""
        present = set(instances)
        self._runs = {instance: run for instance, run in self._runs.items() if instance in present}


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    sum: float = 0.0


class StartTimes:
    """How long instances took to start, by tenant; starts before `since` (seconds since 1970) do not
    count."""

    def __init__(self, since: float) -> None:
        self._since = since
        self._seen: dict[InstanceId, float] = {}
        self._histograms: dict[TenantName, _Histogram] = {}

    def observe(self, instance: InstanceStatus, seconds: float | None) -> None:
        """Count a start, once, however often it is seen."""
        began = instance.started
        if seconds is None or began is None or began < self._since or self._seen.get(instance.id) == began:
            return
        self._seen[instance.id] = began
        histogram = self._histograms.setdefault(instance.tenant, _Histogram())
        histogram.counts[bisect_left(BUCKETS, seconds)] += 1
        histogram.sum += seconds

    def keep(self, instances: Iterable[InstanceId]) -> None:
        """Forget when others started; what they took stays counted."""
        present = set(instances)
        self._seen = {instance: began for instance, began in self._seen.items() if instance in present}

    def cumulative(self) -> dict[TenantName, tuple[list[tuple[str, float]], float]]:
        """By tenant: starts up to each bucket's bound, and the sum of all."""
        result = {}
        for tenant, histogram in self._histograms.items():
            total, buckets = 0, []
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
                total += count
                buckets.append((bound, float(total)))
            result[tenant] = (buckets, histogram.sum)
        return result
