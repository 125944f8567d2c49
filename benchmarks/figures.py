"""What a measurement hands back: figures, each with its reference and, where there is one, its target."""

from dataclasses import dataclass
from enum import Enum
from math import ceil
from statistics import median, quantiles

__all__ = ["Figure", "MeasurementError", "NotMeasurable", "Series", "Target", "Unit", "Verdict"]

# Fewer rounds than these have no spread.
_SPREAD_LEAST = 5


class MeasurementError(RuntimeError):
    """A measurement could not be made; says why in one line."""


class NotMeasurable(MeasurementError):  # noqa: N818 - no error: this host or user lacks what it takes
    """Left out with the reason."""


class Unit(Enum):
    """What the numbers of a series are."""

    NANOSECONDS = "ns"
    BYTES = "B"


class Verdict(Enum):
    """How a figure stands to its target."""

    MET = "met"
    MISSED = "missed"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Repeated measurements of one thing, in the order in which they were made."""

    label: str
    values: tuple[float, ...]

    @property
    def middle(self) -> float:
        """The median: what is reported."""
        return median(self.values)

    @property
    def best(self) -> float:
        """The least: what is left of it on a quiet machine."""
        return min(self.values)

    def percentile(self, percent: float) -> "Series":
        """The value that so many of them do not exceed, alone."""
        rank = ceil(len(self.values) * percent / 100)
        return Series(self.label, (sorted(self.values)[max(0, rank - 1)],))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the project promises: a limit on the ratio to the reference, or on the figure itself."""

    limit: float
    absolute: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report.

    `speed`: the ratio is the reference's time over ours, so that more is better, and a target its
    least; otherwise it is our time (or size) over the reference's, and a target its most.
    """

    group: str
    name: str
    ours: Series
    reference: Series | None = None
    unit: Unit = Unit.NANOSECONDS
    target: Target | None = None
    speed: bool = False

    def ratio(self, *, best: bool = False) -> float | None:
        """Our figure against the reference's: of medians, or of the best rounds."""
        if self.reference is None:
            return None
        ours = self.ours.best if best else self.ours.middle
        theirs = self.reference.best if best else self.reference.middle
        return theirs / ours if self.speed else ours / theirs

    def spread(self) -> tuple[float, float] | None:
        """Between what the middle half of the rounds' own ratios lie, where both were measured in turns."""
        if self.reference is None:
            return None
        ours, theirs = self.ours.values, self.reference.values
        if len(ours) != len(theirs) or len(ours) < _SPREAD_LEAST:
            return None
        pairs = zip(ours, theirs, strict=True)
        lower, _, upper = quantiles((b / a if self.speed else a / b for a, b in pairs), n=4)
        return lower, upper

    @property
    def verdict(self) -> Verdict:
        """By medians."""
        if self.target is None:
            return Verdict.NONE
        value = self.ours.middle if self.target.absolute else self.ratio()
        if value is None:
            return Verdict.NONE
        met = value >= self.target.limit if self.speed else value <= self.target.limit
        return Verdict.MET if met else Verdict.MISSED
