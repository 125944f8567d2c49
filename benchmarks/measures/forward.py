"""A port of a loopback address that leads into an instance's network namespace, beside calling it there."""

import os
from contextlib import ExitStack
from functools import partial

from benchmarks.bench import KWHOST, Bench, compare
from benchmarks.commands import Command, figures_of
from benchmarks.figures import Figure, NotMeasurable, Target
from benchmarks.forwarding import LOOPBACK, Forwarding, forwarded
from benchmarks.networks import address, join, namespaces, running
from benchmarks.rounds import Sample, interleave
from kwhost.net.namespaces import run_inside

__all__ = ["measure_forward"]

_DIRECT = "veth"
_HOST, _ADDRESS, _PORT, _PUBLISHED = "10.9.0.1", "10.9.0.2", 7000, 8000
# Requests of one connection, connections with one request, and mebibytes of one answer.
_AMOUNTS = ("5000", "500", "400")


def measure_forward(bench: Bench) -> list[Figure]:
    """Requests, connections and a stream, through the forwarder and by a pair of interfaces."""
    if os.geteuid():
        raise NotMeasurable("network namespaces of other users need root")
    program = bench.workspace.program("tcp")
    with ExitStack() as stack:
        near, far = stack.enter_context(namespaces(2))
        join(near, "eth0", far)
        address(near, "eth0", f"{_HOST}/24")
        address(far, "eth0", f"{_ADDRESS}/24")
        stack.enter_context(running(far, [program, "serve", str(_PORT)]))
        stack.enter_context(forwarded(near, [Forwarding(_PUBLISHED, _PORT, _ADDRESS, far)]))
        through: Command = [program, "ask", LOOPBACK, str(_PUBLISHED), *_AMOUNTS]
        direct: Command = [program, "ask", _ADDRESS, str(_PORT), *_AMOUNTS]
        samples: dict[str, Sample] = {
            KWHOST: lambda: run_inside(near, partial(figures_of, through)),
            _DIRECT: lambda: run_inside(near, partial(figures_of, direct)),
        }
        table = interleave(samples, bench.rounds)
    figures = []
    for title, name, target in (
        ("a small request through a published port", "ns_per_request", None),
        ("a connection with one request", "ns_per_connection", None),
        ("a stream through it (per MiB)", "ns_per_mib", Target(limit=0.5)),
    ):
        figures += compare("forward", title, table, name, {_DIRECT: target}, speed=True)
    return figures
