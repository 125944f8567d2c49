"""Attaching an instance to its tenant's network and detaching it: alone, and a hundred at once."""

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial

import trio

from benchmarks.bench import KWHOST, Bench, compare
from benchmarks.figures import Figure, Series, Target
from benchmarks.hosting import COMMAND, TENANT, HostingDaemon
from benchmarks.networks import Attachments, need_networks, own_namespace
from benchmarks.requests import answer_of, ask_all, request_text
from benchmarks.rounds import Sample, interleave
from kwhost.core.model.ids import InstanceId
from kwhost.net.namespaces import new_namespace
from kwhost.net.reconcile import Reconciler
from kwhost.net.wishes import Namespace, namespace_of_descriptor

__all__ = ["measure_attach"]

_GROUP = "attaching"
_WITHOUT = "no network"
_ALONE = 30
_AT_ONCE = 100
_ROUNDS_MOST = 3
_ALONE_TARGET = Target(limit=40e6, absolute=True)
_TOGETHER_TARGET = Target(limit=2e9, absolute=True)


class _Attacher:
    """Attaches instances as the daemon does: each brings a network namespace that is made for it."""

    def __init__(self, attachments: Attachments) -> None:
        self._attachments = attachments
        self._reconciler = Reconciler(attachments.host)
        self._open: dict[int, int] = {}

    async def prepare(self) -> None:
        """There is a network, as of a tenant that has an instance already."""
        await self._reconciler.set_networks([self._attachments.network])

    async def attach(self, number: int) -> None:
        descriptor = self._open[number] = await trio.to_thread.run_sync(new_namespace)
        await self._reconciler.attach(self._attachments.of(number, namespace_of_descriptor(descriptor)))

    async def detach(self, number: int) -> None:
        await self._reconciler.detach(InstanceId(f"{number:012x}"))
        os.close(self._open.pop(number))

    async def alone(self, number: int) -> tuple[float, float]:
        """What it takes to attach an instance, and to detach it."""
        begin = time.monotonic_ns()
        await self.attach(number)
        attached = time.monotonic_ns()
        await self.detach(number)
        return attached - begin, time.monotonic_ns() - attached

    async def together(self, numbers: Iterable[int]) -> tuple[float, float]:
        """The same for many at once."""
        begin = time.monotonic_ns()
        await _all(self.attach, numbers)
        attached = time.monotonic_ns()
        await _all(self.detach, numbers)
        return attached - begin, time.monotonic_ns() - attached


async def _all(work: Callable[[int], Awaitable[None]], numbers: Iterable[int]) -> None:
    async with trio.open_nursery() as nursery:
        for number in numbers:
            nursery.start_soon(work, number)


async def _measure(host: Namespace, rounds: int) -> list[Figure]:
    attacher = _Attacher(Attachments("attach", host, _AT_ONCE))
    await attacher.prepare()
    await attacher.alone(0)
    alone = [await attacher.alone(number) for number in range(_ALONE)]
    together = [await attacher.together(range(_AT_ONCE)) for _ in range(rounds)]
    figures = []
    for name, times, target in (
        ("an instance", alone, _ALONE_TARGET),
        (f"{_AT_ONCE} at once", together, _TOGETHER_TARGET),
    ):
        attached, detached = (Series(KWHOST, values) for values in zip(*times, strict=True))
        both = Series(KWHOST, tuple(map(sum, times)))
        figures += [
            Figure(group=_GROUP, name=f"{name}, attached and detached", ours=both, target=target),
            Figure(group=_GROUP, name=f"{name}, attached", ours=attached),
            Figure(group=_GROUP, name=f"{name}, detached", ours=detached),
        ]
    return figures


def _start(name: str, network: str) -> bytes:
    definition = {"tenant": TENANT, "image": "host", "command": COMMAND, "network": network, "name": name}
    return request_text("POST", "/v1/instances?start=true", definition)


def _through_the_daemon(daemon: HostingDaemon, network: str, names: Sequence[str]) -> tuple[float, float]:
    """Nanoseconds until all these instances have started, and until they are removed again."""
    begin = time.monotonic_ns()
    answers = ask_all(daemon.api, [_start(name, network) for name in names])
    ids = [answer_of(answer)["id"] for _, _, answer in answers]
    started = time.monotonic_ns()
    removals = [request_text("DELETE", f"/v1/instances/{one}?force=true") for one in ids]
    for _, _, answer in ask_all(daemon.api, removals):
        answer_of(answer)
    return started - begin, time.monotonic_ns() - started


def _daemon_samples(daemon: HostingDaemon, count: int) -> dict[str, Sample]:
    def sample(network: str) -> dict[str, float]:
        names = [f"one-{number}" for number in range(count)]
        begun, removed = _through_the_daemon(daemon, network, names)
        return {"started": begun, "removed": removed, "both": begun + removed}

    return {KWHOST: partial(sample, "tenant"), _WITHOUT: partial(sample, "none")}


def _daemon_figures(daemon: HostingDaemon, rounds: int) -> Iterator[Figure]:
    for name, count, times in (("an instance", 1, 3 * rounds), (f"{_AT_ONCE} at once", _AT_ONCE, rounds)):
        table = interleave(_daemon_samples(daemon, count), times)
        for title, key in (("started", "started"), ("removed", "removed"), ("both", "both")):
            yield from compare(
                f"{_GROUP}, through the daemon", f"{name}, {title}", table, key, {_WITHOUT: None}
            )


def measure_attach(bench: Bench) -> list[Figure]:
    """By the part of the daemon that does it, and as a difference between instances with a network and
    without."""
    need_networks()
    with own_namespace() as host:
        figures = trio.run(_measure, host, min(bench.rounds, _ROUNDS_MOST))
    directory = bench.workspace.root / "attach"
    with own_namespace() as host, HostingDaemon(directory, more="network = {}", namespace=host) as daemon:
        # The tenant has its network and its resolver already.
        answer_of(ask_all(daemon.api, [_start("first", "tenant")])[0][2])
        figures += _daemon_figures(daemon, min(bench.rounds, _ROUNDS_MOST))
    return figures
