"""Starting instances through the daemon's API, one at a time and a hundred at once."""

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.bench import KWHOST, Bench
from benchmarks.figures import Figure, NotMeasurable, Series, Target
from benchmarks.hosting import COMMAND, TENANT, HostingDaemon
from benchmarks.processes import busy_seconds
from benchmarks.requests import answer_of, ask_all, request_text

__all__ = ["measure_starts"]

_GROUP = "starts through the API"
_ALONE = 100
_AT_ONCE = 100
_PROCESSORS = len(os.sched_getaffinity(0))

_START_TARGET = Target(limit=30e6, absolute=True)
_THROUGHPUT_TARGET = Target(limit=0.8)


class _Starts(NamedTuple):
    """In nanoseconds: of each start, from the request to the first guest instruction and to the answer; of
    all together; and the processor time of one. `free`: how many processors other programs left meanwhile."""

    first_instruction: Series
    answer: Series
    whole: float
    processor: float
    free: float


def _request(name: str) -> bytes:
    body = {"name": name, "tenant": TENANT, "image": "host", "command": COMMAND}
    return request_text("POST", "/v1/instances?start=true", body)


def _measure(daemon: HostingDaemon, batches: Sequence[Sequence[str]]) -> _Starts:
    """Start each batch's instances at once, a batch when the programs of the last one have begun."""
    begun: list[float] = []
    answered: list[float] = []
    whole, before, busy = 0.0, daemon.cpu_seconds(), busy_seconds() - time.process_time()
    for batch in batches:
        started = time.monotonic_ns()
        done = ask_all(daemon.api, [_request(name) for name in batch])
        first = [daemon.first_instruction_ns(str(answer_of(answer)["id"])) for _, _, answer in done]
        whole += max(first) - started
        begun += [moment - sent for moment, (sent, _, _) in zip(first, done, strict=True)]
        answered += [received - sent for sent, received, _ in done]
    used = daemon.cpu_seconds() - before
    others = busy_seconds() - time.process_time() - busy - used
    return _Starts(
        first_instruction=Series(KWHOST, tuple(begun)),
        answer=Series(KWHOST, tuple(answered)),
        whole=whole,
        processor=used * 1e9 / len(begun),
        free=_PROCESSORS - max(0.0, others * 1e9 / whole),
    )


def _figure(name: str, ours: Series, target: Target | None = None, reference: Series | None = None) -> Figure:
    """Against a reference: as speed."""
    speed = reference is not None
    return Figure(group=_GROUP, name=name, ours=ours, reference=reference, target=target, speed=speed)


def _spread(name: str, times: Series) -> list[Figure]:
    return [_figure(f"{name}, p{percent}", times.percentile(percent)) for percent in (95, 99)]


def measure_starts(bench: Bench) -> list[Figure]:
    """From request to first guest instruction; and how many a second, of what the processors allow."""
    if os.geteuid() != 0:
        raise NotMeasurable("reading the statistics of the daemon's instances needs root")
    with HostingDaemon(bench.workspace.root / "starts") as daemon:
        alone = _measure(daemon, [[f"alone-{number}"] for number in range(_ALONE)])
        together = _measure(daemon, [[f"together-{number}" for number in range(_AT_ONCE)]])
    name = f"{_AT_ONCE} at once"
    each = Series(KWHOST, (together.whole / _AT_ONCE,))
    bound = Series(f"alone, processor time / {_PROCESSORS}", (alone.processor / _PROCESSORS,))
    left = Series(f"/ {together.free:.2f}, which others left", (alone.processor / together.free,))
    return [
        _figure("alone, to the first guest instruction", alone.first_instruction, _START_TARGET),
        *_spread("alone, to the first guest instruction", alone.first_instruction),
        _figure("alone, to the answer", alone.answer),
        _figure("processor time of a start alone", Series(KWHOST, (alone.processor,))),
        _figure(f"processor time of one of {name}", Series(KWHOST, (together.processor,))),
        _figure(f"{name}, to the first guest instruction", together.first_instruction),
        *_spread(f"{name}, to the first guest instruction", together.first_instruction),
        _figure(f"{name}, one start each", each, _THROUGHPUT_TARGET, bound),
        _figure(f"{name}, one start each", each, None, left),
    ]
