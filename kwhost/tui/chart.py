"""Values over time as blocks. Pure."""

from collections.abc import Iterable, Sequence
from math import ceil, floor
from typing import NamedTuple

__all__ = ["Point", "buckets", "draw", "rates"]

_BLOCKS = " ▁▂▃▄▅▆▇█"


class Point(NamedTuple):
    """A value at a time, both in any unit."""

    time: float
    value: float


def rates(counters: Iterable[tuple[float, float | None]], longest: float) -> list[Point]:
    """Growth a second between neighbours that are at most `longest` apart: beyond it nobody measured. A
    counter that went back belongs to a new run, of which the first value tells nothing."""
    points = []
    before: tuple[float, float] | None = None
    for time, counter in counters:
        if counter is None:
            before = None
            continue
        if before and 0 < time - before[0] <= longest and counter >= before[1]:
            points.append(Point(time, (counter - before[1]) / (time - before[0])))
        before = (time, counter)
    return points


def buckets(points: Iterable[Point], start: float, end: float, count: int, step: float) -> list[float | None]:
    """The mean of the values in each of `count` parts of the time from `start` to `end`; None where there is
    none. A value is of the `step` before its time."""
    sums, numbers = [0.0] * count, [0] * count
    part = (end - start) / count
    for point in points:
        first = floor((point.time - step - start) / part)
        last = ceil((point.time - start) / part) - 1
        for place in range(max(0, first), min(count - 1, last) + 1):
            sums[place] += point.value
            numbers[place] += 1
    return [total / number if number else None for total, number in zip(sums, numbers, strict=True)]


def draw(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """Lines of a screen from the highest to the lowest, one column for each value; `top` is all of the
    height. What is too small for a block is a line at the bottom; what is not known is empty."""
    heights = [
        None if value is None else min(height * 8, max(0, round(value / top * height * 8)))
        for value in values
    ]
    lines = []
    for row in reversed(range(height)):
        cells = (
            " " if eighths is None else _BLOCKS[min(8, max(0 if row else 1, eighths - row * 8))]
            for eighths in heights
        )
        lines.append("".join(cells))
    return lines
