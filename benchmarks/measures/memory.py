"""The first touch of memory: each new page is a fault that KVM and the host serve."""

from benchmarks.bench import KWHOST, NATIVE, Bench, compare
from benchmarks.commands import figures_of
from benchmarks.figures import Figure, Target
from benchmarks.rounds import Sample, interleave

__all__ = ["measure_memory"]

_TARGET = Target(limit=0.8)
# Title, arguments of native/memory.c, and what is promised.
_CASES = (
    ("first touch, 64 MiB at once, 4 KiB steps", ("64", "4", "0"), _TARGET),
    ("first touch, 64 MiB in mappings of 1 MiB", ("64", "4", "1024"), None),
    ("first touch, 64 MiB reserved, then opened", ("64", "4", "0", "reserve"), None),
)


def measure_memory(bench: Bench) -> list[Figure]:
    """In one mapping, in many, and in one that was inaccessible at first."""
    program = bench.workspace.program("memory")
    figures = []
    for title, arguments, target in _CASES:
        samples: dict[str, Sample] = {
            KWHOST: bench.in_instance("memory", *arguments),
            NATIVE: lambda arguments=arguments: figures_of([program, *arguments]),  # type: ignore[misc]
        }
        table = interleave(samples, bench.rounds)
        figures += compare("memory", title, table, "first_ns", {NATIVE: target}, speed=True)
        if target:
            figures += compare(
                "memory", "second touch of the same", table, "second_ns", {NATIVE: None}, speed=True
            )
    return figures
