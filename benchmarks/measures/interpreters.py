"""Whole programs of some size, from launch to exit."""

import shutil

from benchmarks.bench import KWHOST, NATIVE, Bench, compare
from benchmarks.commands import Command, time_command
from benchmarks.figures import Figure, Target
from benchmarks.rounds import Sample, interleave

__all__ = ["measure_interpreters"]

# What the image `host` and the peers' bundles show.
_PATH = "/usr/bin:/bin:/usr/local/bin"
_PROGRAMS = (("python3", "-S", "-E", "-c", "pass"), ("node", "-e", "0"))


def _timed(command: Command) -> Sample:
    return lambda: {"wall": time_command(command)}


def measure_interpreters(bench: Bench) -> list[Figure]:
    """CPython and Node.js doing nothing."""
    figures = []
    for name, *arguments in _PROGRAMS:
        path = shutil.which(name, path=_PATH)
        if not path:
            continue
        argv = (path, *arguments)
        plan = bench.launcher.plan(argv)
        samples: dict[str, Sample] = {
            KWHOST: lambda plan=plan: {"wall": bench.launcher.run(plan).wall_ns},  # type: ignore[misc]
            NATIVE: _timed(argv),
        }
        for peer in (bench.peers.crun, bench.peers.runsc):
            if peer:
                samples[peer.name] = _timed(peer.run(*argv))
        table = interleave(samples, bench.rounds)
        targets: dict[str, Target | None] = {NATIVE: None, "crun": None, "runsc": None}
        figures += compare("programs", " ".join((name, *arguments)), table, "wall", targets)
    return figures
