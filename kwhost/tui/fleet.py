"""All instances that the daemon told of, with what they used in the last minutes. Pure."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kwhost.core.api.types import InstanceUse
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.instance import Isolation
from kwhost.core.model.status import InstanceState, InstanceStatus, Usage
from kwhost.tui.format import rate

__all__ = ["HISTORY", "Fleet", "Row", "Totals", "call_rate", "growth"]

# Seconds of history.
HISTORY = 120


class Row(NamedTuple):
    """One instance. `cpu` is in percent of one processor, `calls` and `denied` a second, `sent` and
    `received` in bytes a second; None: not known. `before` is what had been used `seconds` before `usage`.
    Histories have a value for each second, at least for the last HISTORY if there were so many."""

    status: InstanceStatus
    usage: Usage = Usage()
    before: Usage = Usage()
    seconds: float = 1.0
    cpu: float | None = None
    calls: float | None = None
    denied: float | None = None
    sent: float | None = None
    received: float | None = None
    cpu_history: Sequence[float] = ()
    memory_history: Sequence[float] = ()
    call_history: Sequence[float] = ()
    denied_history: Sequence[float] = ()
    sent_history: Sequence[float] = ()
    received_history: Sequence[float] = ()

    @property
    def key(self) -> InstanceId:
        """What it is known by."""
        return self.status.id

    @property
    def name(self) -> str:
        """As commands name it."""
        return f"{self.status.tenant}/{self.status.name}"

    @property
    def counts_calls(self) -> bool:
        """All of them; without a virtual machine only those that a filter asks about."""
        return self.status.isolation != Isolation.PROCESS.value


def call_rate(row: Row) -> str:
    """Of all calls; "n/a" where nobody counts them."""
    return rate(row.calls) if row.counts_calls else "n/a"


class Totals(NamedTuple):
    """Of all instances that run."""

    running: int
    ended: int
    failed: int
    cpu: float
    memory: int
    calls: float
    denied: float
    sent: float
    received: float


_FAILED = (InstanceState.FAILED, InstanceState.CRASH_LOOP)
_ACTIVE = (InstanceState.STARTING, InstanceState.RUNNING, InstanceState.PAUSED, InstanceState.STOPPING)


_NOTHING = Usage()


def _history() -> "array[float]":
    return array("d")  # without an object for each number


@dataclass(slots=True)
class _Track:
    """What was measured of one instance; the last at `time` (seconds)."""

    usage: Usage
    time: float
    before: Usage = _NOTHING
    seconds: float = 1.0
    cpu: float | None = None
    calls: float | None = None
    denied: float | None = None
    sent: float | None = None
    received: float | None = None
    cpu_history: "array[float]" = field(default_factory=_history)
    memory_history: "array[float]" = field(default_factory=_history)
    call_history: "array[float]" = field(default_factory=_history)
    denied_history: "array[float]" = field(default_factory=_history)
    sent_history: "array[float]" = field(default_factory=_history)
    received_history: "array[float]" = field(default_factory=_history)

    def measure(self, usage: Usage, time: float) -> None:
        seconds = time - self.time
        if seconds <= 0:
            return
        before = self.usage
        cpu = growth(before.cpu_seconds, usage.cpu_seconds, seconds)
        self.cpu = None if cpu is None else cpu * 100
        self.calls = growth(before.calls, usage.calls, seconds)
        self.denied = growth(before.refused, usage.refused, seconds)
        self.sent = growth(before.sent_bytes, usage.sent_bytes, seconds)
        self.received = growth(before.received_bytes, usage.received_bytes, seconds)
        for history, value in (
            (self.cpu_history, self.cpu),
            (self.memory_history, usage.memory),
            (self.call_history, self.calls),
            (self.denied_history, self.denied),
            (self.sent_history, self.sent),
            (self.received_history, self.received),
        ):
            history.append(value or 0.0)
            if len(history) == 2 * HISTORY:
                del history[:HISTORY]
        self.before, self.seconds = before, seconds
        self.usage, self.time = usage, time

    def row(self, status: InstanceStatus) -> Row:
        return Row(
            status=status, usage=self.usage, before=self.before, seconds=self.seconds,
            cpu=self.cpu, calls=self.calls, denied=self.denied, sent=self.sent, received=self.received,
            cpu_history=self.cpu_history, memory_history=self.memory_history,
            call_history=() if status.isolation == Isolation.PROCESS.value else self.call_history,
            denied_history=self.denied_history,
            sent_history=self.sent_history, received_history=self.received_history,
        )  # fmt: skip


def growth(before: float | None, now: float | None, seconds: float) -> float | None:
    """A second; a counter that went back belongs to a new run."""
    if before is None or now is None:
        return None
    return max(0.0, now - before) / seconds


class Fleet:
    """Holds what is known, and forgets what is gone."""

    def __init__(self) -> None:
        self._statuses: dict[InstanceId, InstanceStatus] = {}
        self._tracks: dict[InstanceId, _Track] = {}

    def take_list(self, statuses: Iterable[InstanceStatus]) -> None:
        """These are all there are."""
        self._statuses = {status.id: status for status in statuses}
        self._tracks = {id_: track for id_, track in self._tracks.items() if id_ in self._statuses}

    def measure(self, uses: Iterable[InstanceUse], time: float) -> None:
        """These run, and use so much at `time` (seconds of any clock)."""
        seen = set()
        for use in uses:
            seen.add(use.id)
            if track := self._tracks.get(use.id):
                track.measure(use.usage, time)
            else:
                self._tracks[use.id] = _Track(use.usage, time)
        for id_ in self._tracks.keys() - seen:
            del self._tracks[id_]

    def row(self, id_: InstanceId) -> Row | None:
        """One instance; None: there is no such one any more."""
        status = self._statuses.get(id_)
        if status is None:
            return None
        track = self._tracks.get(id_)
        if track is None or status.state not in _ACTIVE:
            return Row(status)
        return track.row(status)

    def rows(self) -> list[Row]:
        """All of them."""
        return [row for id_ in self._statuses if (row := self.row(id_))]

    @property
    def totals(self) -> Totals:
        """Over all of them."""
        rows = self.rows()
        states = [row.status.state for row in rows]
        return Totals(
            running=sum(state in _ACTIVE for state in states),
            ended=sum(state in (InstanceState.EXITED, InstanceState.CREATED) for state in states),
            failed=sum(state in _FAILED for state in states),
            cpu=sum(row.cpu or 0.0 for row in rows),
            memory=sum(row.usage.memory or 0 for row in rows),
            calls=sum(row.calls or 0.0 for row in rows),
            denied=sum(row.denied or 0.0 for row in rows),
            sent=sum(row.sent or 0.0 for row in rows),
            received=sum(row.received or 0.0 for row in rows),
        )
