"""Hosting many: hundreds of instances brought up and down by one daemon, and what it costs to have them."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.bench import KWHOST, Bench
from benchmarks.figures import Figure, MeasurementError, NotMeasurable, Series, Target, Unit
from benchmarks.hosting import HostingDaemon
from benchmarks.processes import cpu_seconds, descendants, memory_sizes
from kwhost.core.errors import ApiError

__all__ = ["measure_hosting"]

_GROUP = "hosting"
_INSTANCES = 500
_IDLE_SECONDS = 10.0
# Between two looks at the list: often enough to meet the worst moments, and not itself the load.
_PAUSE_SECONDS = 0.005

_LIST_TARGET = Target(limit=100e6, absolute=True)
_IDLE_TARGET = Target(limit=50e6, absolute=True)
_MEMORY_TARGET = Target(limit=150 << 20, absolute=True)


def _figure(name: str, ours: Series, target: Target | None = None, unit: Unit = Unit.NANOSECONDS) -> Figure:
    return Figure(group=_GROUP, name=name, ours=ours, unit=unit, target=target)


def _watch(daemon: HostingDaemon, look: Callable[[], bool]) -> tuple[Series, Series]:
    """Look until it is true: how long that took, and how long each look did."""
    times: list[float] = []

    def timed() -> bool:
        asked = time.monotonic_ns()
        over = look()
        times.append(time.monotonic_ns() - asked)
        return over

    started = time.monotonic_ns()
    daemon.wait_until(timed, _PAUSE_SECONDS)
    return Series(KWHOST, (time.monotonic_ns() - started,)), Series(KWHOST, tuple(times))


def _watch_figures(what: str, whole: Series, lists: Series) -> list[Figure]:
    return [
        _figure(f"{_INSTANCES} instances {what}", whole),
        _figure("ps meanwhile, median", lists),
        _figure("ps meanwhile, p99", lists.percentile(99), _LIST_TARGET),
    ]


def _idle(daemon: HostingDaemon) -> Series:
    """Processor time of the daemon in a second in which nothing happens."""
    before, started = cpu_seconds(daemon.process.pid), time.monotonic()
    time.sleep(_IDLE_SECONDS)
    used = cpu_seconds(daemon.process.pid) - before
    return Series(KWHOST, (used * 1e9 / (time.monotonic() - started),))


def _memory(daemon: HostingDaemon, below: Sequence[int]) -> list[Figure]:
    def size(name: str, value: float, target: Target | None = None) -> Figure:
        return _figure(name, Series(KWHOST, (value,)), target, Unit.BYTES)

    own = memory_sizes(daemon.process.pid)
    shares = sum(memory_sizes(pid)["Pss"] for pid in below) / _INSTANCES
    return [
        size("memory of the daemon (RSS)", own["Rss"], _MEMORY_TARGET),
        size("memory of the daemon (PSS)", own["Pss"], _MEMORY_TARGET),
        size("memory of an instance (PSS, with its program)", shares),
    ]


def _down(daemon: HostingDaemon) -> tuple[Series, Series]:
    daemon.ask_to_end()

    def ended() -> bool:
        with suppress(ApiError):  # in the moment in which the daemon ends
            daemon.instances()
        return daemon.has_ended()

    return _watch(daemon, ended)


def measure_hosting(bench: Bench) -> list[Figure]:
    """All of them up, idle, and down, with nothing left."""
    if os.geteuid() != 0:
        raise NotMeasurable("reading monitors' memory maps needs root")
    with HostingDaemon(bench.workspace.root / "hosting", _INSTANCES) as daemon:
        up = _watch(daemon, daemon.all_run)
        below = [pid for pid in descendants(daemon.process.pid) if pid != daemon.process.pid]
        figures = [*_watch_figures("up, from when the API answers", *up), *_memory(daemon, below)]
        figures.append(_figure("the daemon's processor time in an idle second", _idle(daemon), _IDLE_TARGET))
        figures += _watch_figures("down", *_down(daemon))
        alive = [f"process {pid}" for pid in below if Path(f"/proc/{pid}").exists()]
        if left := [*alive, *daemon.leftovers()]:
            raise MeasurementError(f"{len(left)} things are left, such as {left[0]}")
    return figures
