"""The terminal interface, with a thousand instances: when it is there, what it costs, and how soon it
answers a key while a log floods it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench import KWHOST, Bench
from benchmarks.commands import time_command
from benchmarks.figures import Figure, MeasurementError, Series, Target, Unit
from benchmarks.processes import cpu_seconds, memory_sizes
from benchmarks.rounds import Sample, interleave
from benchmarks.terminals import Screen

__all__ = ["measure_tui"]

_GROUP = "terminal interface"
_INSTANCES = 1000
# As many lines as are kept.
_FULL = "newest"
_ALL = f"running {_INSTANCES}"
_IMPORTED = "importing Textual and its widgets"
_IMPORT = """
import textual.app, textual.containers, textual.screen, textual.scroll_view
from textual.widgets import Button, Footer, Input, Static, TabbedContent, TabPane
"""
_SETTLE_SECONDS = 2.0
_UPDATE_SECONDS = 10.0
_FLOOD_SECONDS = 10.0
_PRESSES = 20
_BETWEEN_SECONDS = 0.2

_PAINT = Target(limit=1.5)
_ROWS = Target(limit=300e6, absolute=True)
_UPDATE = Target(limit=100e6, absolute=True)
_KEY = Target(limit=50e6, absolute=True)
_GROWTH = Target(limit=1 << 20, absolute=True)


def _figure(name: str, ours: Series, target: Target | None = None, unit: Unit = Unit.NANOSECONDS) -> Figure:
    return Figure(group=_GROUP, name=name, ours=ours, unit=unit, target=target)


@contextmanager
def _daemon(directory: Path, instances: int) -> Iterator[list[str]]:
    """The command that shows what it has."""
    path = directory / f"tui-{instances}.sock"
    command = [sys.executable, "-m", "benchmarks.tui_daemon", str(path), str(instances)]
    process = subprocess.Popen(command)
    try:
        while not path.exists():
            if process.poll() is not None:
                raise MeasurementError("the daemon for the terminal interface did not start")
            time.sleep(0.01)
        yield [sys.executable, "-m", "kwhost", "tui", "--host", str(path)]
    finally:
        process.kill()
        process.wait()


def _start(command: list[str]) -> dict[str, float]:
    with Screen(command) as screen:
        painted = screen.wait("Quit")
        listed = screen.wait(_ALL)
        return {"paint": painted - screen.started, "rows": max(0, listed - painted)}


def _starts(command: list[str], rounds: int) -> list[Figure]:
    samples: dict[str, Sample] = {
        KWHOST: lambda: _start(command),
        _IMPORTED: lambda: {"paint": time_command([sys.executable, "-c", _IMPORT])},
    }
    table = interleave(samples, rounds)
    return [
        Figure(
            group=_GROUP,
            name="first screen",
            ours=table[KWHOST]["paint"],
            reference=table[_IMPORTED]["paint"],
            target=_PAINT,
        ),
        _figure(f"all {_INSTANCES} instances after it", table[KWHOST]["rows"], _ROWS),
    ]


def _updates(command: list[str]) -> Figure:
    with Screen(command) as screen:
        screen.wait(_ALL)
        time.sleep(_SETTLE_SECONDS)
        before, started = cpu_seconds(screen.process.pid), time.monotonic()
        time.sleep(_UPDATE_SECONDS)
        used = cpu_seconds(screen.process.pid) - before
        seconds = time.monotonic() - started
    name = f"processor time in a second, {_INSTANCES} instances change"
    return _figure(name, Series(KWHOST, (used * 1e9 / seconds,)), _UPDATE)


def _keys(command: list[str]) -> list[Figure]:
    with Screen(command) as screen:
        screen.wait(_ALL)
        screen.press("\r", _FULL)
        times = []
        for number in range(_PRESSES):
            times.append(screen.press("f", "following" if number % 2 else "standing still"))
            time.sleep(_BETWEEN_SECONDS)
    keys = Series(KWHOST, tuple(times))
    return [
        _figure("key to screen while a log floods it, median", keys, _KEY),
        _figure("key to screen while a log floods it, p95", keys.percentile(95)),
    ]


def _growth(command: list[str]) -> Figure:
    with Screen(command) as screen:
        screen.wait("running 1")
        screen.press("\r", _FULL)
        time.sleep(_SETTLE_SECONDS)
        before = memory_sizes(screen.process.pid)["Rss"]
        time.sleep(_FLOOD_SECONDS)
        growth = max(0, memory_sizes(screen.process.pid)["Rss"] - before)
    return _figure("memory that ten seconds of it add", Series(KWHOST, (growth,)), _GROWTH, Unit.BYTES)


def measure_tui(bench: Bench) -> list[Figure]:
    """In front of a daemon that is none (benchmarks/tui_daemon.py), on a terminal of its own."""
    with _daemon(bench.workspace.root, _INSTANCES) as command:
        figures = [*_starts(command, bench.rounds), _updates(command), *_keys(command)]
    # What is remembered of many instances' use grows for two minutes, which would hide what a flood does.
    with _daemon(bench.workspace.root, 1) as command:
        return [*figures, _growth(command)]
