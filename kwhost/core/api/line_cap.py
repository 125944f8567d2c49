"""A bound on how many lines of a log a client is sent."""

from collections.abc import Callable

__all__ = ["LineCap"]

_WINDOW_SECONDS = 1.0


class LineCap:
    """At most `rate` lines in each second but the first, which has what there was already; None: all of
    them. `left_out` counts those beyond, until it is taken; `until` is the end of the present second, by
    `clock`."""

    def __init__(self, rate: int | None, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._left: float = float("inf")
        self.until = clock() + _WINDOW_SECONDS
        self.left_out = 0

    def grant(self, count: int) -> int:
        """How many of the next `count` lines are to be sent."""
        if self._rate is None:
            return count
        now = self._clock()
        if now >= self.until:
            self._left, self.until = self._rate, now + _WINDOW_SECONDS
        granted = int(min(count, self._left))
        self._left -= granted
        self.left_out += count - granted
        return granted

    def is_due(self) -> bool:
        """A second is over in which lines were left out."""
        return self.left_out > 0 and self._clock() >= self.until

    def take_left_out(self) -> int:
        """How many were left out since this was asked for last."""
        count, self.left_out = self.left_out, 0
        return count
