"""Events and decisions on their way to plugins: each plugin has queues of its own, so that none waits for
another."""

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

__all__ = ["EVENTS_MAX", "EventQueue"]

_Item = TypeVar("_Item")

# Of one plugin; what comes on top is dropped, and reported.
EVENTS_MAX = 1000


class EventQueue(Generic[_Item]):
    """The events that one plugin has not seen yet."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._send, self._receive = trio.open_memory_channel[_Item](EVENTS_MAX)
        self._report = report
        self._dropped = 0

    def put(self, event: _Item) -> None:
        """Never waits."""
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            if not self._dropped:
                self._report(f"has {EVENTS_MAX} events before it and misses those that follow")
            self._dropped += 1
            return
        if self._dropped:
            self._report(f"missed {self._dropped} events")
            self._dropped = 0

    async def get(self) -> _Item:
        """The next event."""
        return await self._receive.receive()
