"""Taking turns: what is compared is measured alternately, so that a busy moment of the machine meets all."""

from collections.abc import Callable, Mapping

from benchmarks.figures import Series

__all__ = ["Sample", "Table", "interleave"]

# One round of one contender: figures by name.
Sample = Callable[[], Mapping[str, float]]
# Figures by contender and name.
Table = dict[str, dict[str, Series]]


def interleave(samples: Mapping[str, Sample], rounds: int, *, warm_up: int = 1) -> Table:
    """Measure each in every round, forwards and backwards in turn; the warm-up is thrown away."""
    values: dict[str, dict[str, list[float]]] = {label: {} for label in samples}
    for number in range(-warm_up, rounds):
        order = list(samples.items())
        if number % 2:
            order.reverse()
        for label, sample in order:
            found = sample()
            if number < 0:
                continue
            for name, value in found.items():
                values[label].setdefault(name, []).append(value)
    return {
        label: {name: Series(label, tuple(numbers)) for name, numbers in figures.items()}
        for label, figures in values.items()
    }
