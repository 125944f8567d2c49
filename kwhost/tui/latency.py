"""Histograms of how long calls take: [i] is how many took 2^i to 2^(i+1) ns. Pure."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

__all__ = ["PLACES", "added", "axis", "grown", "latency", "quantile", "skyline"]

Histogram = Sequence[int]

# As many places as the monitor has (KW_HISTOGRAM); the last one has all longer calls too.
PLACES = 32
_BLOCKS = " ▁▂▃▄▅▆▇█"
_MARKS = {0: "1ns", 10: "1µs", 20: "1ms", 29: "1s"}


def added(histograms: Iterable[Histogram]) -> tuple[int, ...]:
    """All of them together."""
    return tuple(map(sum, zip_longest(*histograms, fillvalue=0)))


def grown(now: Histogram, before: Histogram) -> tuple[int, ...]:
    """What came in between; all of `now` where it is another run's."""
    if any(then > count for count, then in zip_longest(now, before, fillvalue=0)):
        return tuple(now)
    return tuple(count - then for count, then in zip_longest(now, before, fillvalue=0))


def quantile(histogram: Histogram, share: float) -> float | None:
    """So many seconds or less is what this share of the calls took, to within one place, in which calls
    count as evenly spread; None without calls."""
    wanted = share * sum(histogram)
    for place, count in enumerate(histogram):
        if count and wanted <= count:
            low = float(1 << place)
            return low * (1 + wanted / count) / 1e9
        wanted -= count
    return None


def latency(seconds: float | None) -> str:
    """In at most eight characters; "-" where there is none."""
    if seconds is None:
        return "-"
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 999.5:
            digits = 0 if unit == "ns" or seconds * factor >= 99.95 else 1
            return f"{seconds * factor:.{digits}f} {unit}"
    return f"{seconds:.1f} s" if seconds < 1000 else f"{seconds:.0f} s"


def skyline(histogram: Histogram, height: int, step: int) -> list[str]:
    """A column of blocks for each place, `step` wide, in `height` lines. What there is shows, however
    little."""
    highest = max(histogram, default=0) or 1
    tops = [
        max(1, round(count / highest * height * 8)) if count else 0
        for count in (*histogram, *[0] * (PLACES - len(histogram)))
    ]
    return [
        "".join(_BLOCKS[min(8, max(0, top - below * 8))] * step for top in tops)
        for below in reversed(range(height))
    ]


def axis(step: int) -> str:
    """The line below a skyline: where its times are."""
    line = [" "] * (PLACES * step)
    for place, mark in _MARKS.items():
        line[place * step : place * step + len(mark)] = mark
    return "".join(line)[: PLACES * step]
