"""What instances used in the last hours, in memory: it ends with the daemon.

Numbers are kept as such, without an object for each: six hours of one instance take 120 KiB, and all
instances together never more than 22 MiB: with many of them it is a shorter time of each.
"""

import time
from array import array
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import isnan, nan

import trio

from kwhost.core.errors import NotFound
from kwhost.core.model.history import History, Sample
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.status import InstanceState, Usage
from kwhost.core.supervise.hosting import Hosting

__all__ = ["Histories"]

_SECONDS = 10.0
_SAMPLES_MAX = 2160  # of one instance: six hours
_SAMPLES_IN_ALL = 400_000
_LIVE = (InstanceState.RUNNING, InstanceState.PAUSED)
_FIELDS = ("cpu_seconds", "memory", "calls", "refused", "sent_bytes", "received_bytes")
_WHOLE = frozenset(_FIELDS) - {"cpu_seconds"}
_WIDTH = 1 + len(_FIELDS)


class Histories:
    """Of all instances; `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._numbers: dict[InstanceId, array[float]] = {}

    async def keep(self, hosting: Hosting) -> None:
        """Look at those that run, again and again, until cancelled."""
        while True:
            await trio.sleep(_SECONDS)
            await hosting.count_traffic()
            for status in hosting.instances():
                if status.state in _LIVE:
                    with suppress(NotFound):  # removed meanwhile
                        self.add(status.id, hosting.usage(status.id))
                    await trio.lowlevel.checkpoint()  # others have their turn after each
            self.forget_others(status.id for status in hosting.instances())

    def add(self, id_: InstanceId, usage: Usage) -> None:
        """What this instance uses now."""
        numbers = self._numbers.setdefault(id_, array("d"))
        numbers.append(self._clock())
        for name in _FIELDS:
            value = getattr(usage, name)
            numbers.append(nan if value is None else value)
        kept = min(_SAMPLES_MAX, _SAMPLES_IN_ALL // len(self._numbers))
        if len(numbers) > kept * _WIDTH:
            del numbers[: len(numbers) - kept * _WIDTH]

    def forget_others(self, known: Iterable[InstanceId]) -> None:
        """Only these instances are left."""
        for id_ in self._numbers.keys() - set(known):
            del self._numbers[id_]

    def of(self, id_: InstanceId) -> History:
        """Everything that is kept of it."""
        numbers = self._numbers.get(id_, array("d"))
        rows = (numbers[start : start + _WIDTH] for start in range(0, len(numbers), _WIDTH))
        return History(seconds=_SECONDS, samples=tuple(map(_sample, rows)))


def _sample(row: "array[float]") -> Sample:
    moment, *values = row
    known = {
        name: int(value) if name in _WHOLE else value
        for name, value in zip(_FIELDS, values, strict=True)
        if not isnan(value)
    }
    return Sample(time=moment, **known)  # type: ignore[arg-type] # the whole ones are
