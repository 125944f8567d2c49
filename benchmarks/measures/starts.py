"""Starting instances through the daemon's API, one at a time and a hundred at once."""

import json
import os
import select
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench import KWHOST, Bench
from benchmarks.figures import Figure, MeasurementError, NotMeasurable, Series, Target
from benchmarks.hosting import COMMAND, TENANT, HostingDaemon
from benchmarks.processes import busy_seconds

__all__ = ["measure_starts"]

_GROUP = "starts through the API"
_ALONE = 100
_AT_ONCE = 100
_SECONDS = 120.0
_PIECE = 64 * 1024
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
    body = json.dumps({"name": name, "tenant": TENANT, "image": "host", "command": COMMAND}).encode()
    head = f"POST /v1/instances?start=true HTTP/1.1\r\nHost: kwhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def _ask_all(api: Path, names: Sequence[str]) -> list[tuple[float, float, bytes]]:
    """Send all requests at once: of each, when it was sent, when the answer was complete, and the answer.

    Without threads and a library's client, which would take processors away from what is measured.
    """
    requests = [_request(name) for name in names]
    answers: dict[int, tuple[socket.socket, float, bytearray]] = {}
    done: list[tuple[float, float, bytes]] = []
    poll = select.poll()
    for request in requests:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(api))
        poll.register(connection, select.POLLIN)
        answers[connection.fileno()] = connection, time.monotonic_ns(), bytearray()
        connection.sendall(request)
    while answers:
        ready = poll.poll(_SECONDS * 1000)
        if not ready:
            raise MeasurementError(f"{len(answers)} starts took longer than {_SECONDS:.0f} s")
        for fd, _ in ready:
            connection, sent, answer = answers[fd]
            if piece := connection.recv(_PIECE):
                answer += piece
                continue
            done.append((sent, time.monotonic_ns(), bytes(answer)))
            poll.unregister(fd)
            connection.close()
            del answers[fd]
    return done


def _instance_of(answer: bytes) -> str:
    """The id of the instance that was started."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 201 " not in head.partition(b"\r\n")[0]:
        raise MeasurementError(f"an instance was not started: {body.decode()}")
    return str(json.loads(body)["id"])


def _measure(daemon: HostingDaemon, batches: Sequence[Sequence[str]]) -> _Starts:
    """Start each batch's instances at once, a batch when the programs of the last one have begun."""
    begun: list[float] = []
    answered: list[float] = []
    whole, before, busy = 0.0, daemon.cpu_seconds(), busy_seconds() - time.process_time()
    for batch in batches:
        started = time.monotonic_ns()
        done = _ask_all(daemon.api, batch)
        first = [daemon.first_instruction_ns(_instance_of(answer)) for _, _, answer in done]
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
