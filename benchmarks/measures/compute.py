"""Work that needs no host."""

from benchmarks.bench import KWHOST, NATIVE, Bench, compare
from benchmarks.commands import figures_of
from benchmarks.figures import Figure, Target
from benchmarks.rounds import Sample, interleave

__all__ = ["measure_clock", "measure_compute"]

_PIECES = "100"
_READINGS = "2000000"
_PYTHON = """
import time
pieces = []
for _ in range(100):
    start, total = time.perf_counter_ns(), 0
    for number in range(12_000):
        total += number * number % 7
    pieces.append(time.perf_counter_ns() - start)
print("python_ns", sorted(pieces)[10])
"""


def measure_compute(bench: Bench) -> list[Figure]:
    """Integers, SHA-256 and floating point in C, and a loop in Python."""
    program = bench.workspace.program("compute")
    python = ("/usr/bin/python3", "-S", "-E", "-c", _PYTHON)
    plan = bench.launcher.plan(python)
    in_c, target = bench.in_instance("compute", _PIECES), Target(limit=0.98)
    samples: dict[str, Sample] = {
        KWHOST: lambda: {**in_c(), **bench.launcher.figures(plan)},
        NATIVE: lambda: {**figures_of([program, _PIECES]), **figures_of(python)},
    }
    table = interleave(samples, bench.rounds)
    titles = {
        "integers_ns": "integer arithmetic in C, per piece",
        "sha256_ns": "SHA-256 in C, per piece",
        "floats_ns": "floating point in C, per piece",
        "python_ns": "a loop in CPython, per piece",
    }
    return [
        figure
        for name, title in titles.items()
        for figure in compare("computing", title, table, name, {NATIVE: target}, speed=True)
    ]


def measure_clock(bench: Bench) -> list[Figure]:
    """clock_gettime through the host's vDSO."""
    program = bench.workspace.program("clock")
    samples: dict[str, Sample] = {
        KWHOST: bench.in_instance("clock", _READINGS),
        NATIVE: lambda: figures_of([program, _READINGS]),
    }
    table = interleave(samples, bench.rounds)
    target = Target(limit=0.95)
    return compare("computing", "clock_gettime", table, "ns_per_call", {NATIVE: target}, speed=True)
