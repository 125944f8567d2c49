"""A port of a loopback address that leads into an instance's network namespace, beside calling it there."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import trio

from benchmarks.bench import KWHOST, Bench, compare
from benchmarks.commands import Command, figures_of
from benchmarks.figures import Figure, NotMeasurable, Target
from benchmarks.rounds import Sample, interleave
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import Transport
from kwhost.net.forwarder import Destination, ForwardedPort, Forwarder, ForwardTarget
from kwhost.net.forwarder_process import bind_port
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.wishes import Namespace, namespace_of_process

__all__ = ["measure_forward"]

_DIRECT = "veth"
_INSTANCE = InstanceId("0" * 12)
_UID = 0x7100_0000
_HOST, _ADDRESS, _PORT = "10.9.0.1", "10.9.0.2", 7000
# Requests of one connection, connections with one request, and mebibytes of one answer.
_AMOUNTS = ("5000", "500", "400")


def measure_forward(bench: Bench) -> list[Figure]:
    """Requests, connections and a stream, through the forwarder and by a pair of interfaces."""
    if os.geteuid():
        raise NotMeasurable("network namespaces of other users need root")
    program = bench.workspace.program("tcp")
    with ExitStack() as stack:
        near, far = (stack.enter_context(_namespace()) for _ in range(2))
        _join(near, far)
        stack.enter_context(_server(far, program))
        port = stack.enter_context(_forwarded(far))
        through: Command = [program, "ask", "127.0.0.1", str(port.number), *_AMOUNTS]
        direct: Command = [program, "ask", _ADDRESS, str(_PORT), *_AMOUNTS]
        samples: dict[str, Sample] = {
            KWHOST: partial(figures_of, through),
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


@contextmanager
def _namespace() -> Iterator[Namespace]:
    with subprocess.Popen(["unshare", "--net", "sleep", "infinity"]) as holder:
        try:
            own, deadline = os.stat("/proc/self/ns/net").st_ino, time.monotonic() + 5
            namespace = namespace_of_process(holder.pid)
            while os.stat(namespace).st_ino == own and time.monotonic() < deadline:
                time.sleep(0.01)
            yield namespace
        finally:
            holder.kill()


def _join(near: Namespace, far: Namespace) -> None:
    """Connect two namespaces by a pair of interfaces."""

    def add() -> None:
        with open_session() as session:
            peer = {"ifname": "eth0", "net_ns_fd": str(far)}
            session.link("add", ifname="eth0", kind="veth", peer=peer)

    def set_up(address: str) -> None:
        with open_session() as session:
            session.link("set", index=1, state="up")
            index = session.link_lookup(ifname="eth0")[0]
            session.link("set", index=index, state="up")
            session.addr("add", index=index, address=address, prefixlen=24)

    run_inside(near, add)
    run_inside(near, partial(set_up, _HOST))
    run_inside(far, partial(set_up, _ADDRESS))


@contextmanager
def _server(namespace: Namespace, program: Path) -> Iterator[None]:
    with run_inside(namespace, lambda: subprocess.Popen([program, "serve", str(_PORT)])) as server:
        try:
            yield
        finally:
            server.kill()


@contextmanager
def _forwarded(namespace: Namespace) -> Iterator[ForwardedPort]:
    with bind_port(Transport.TCP, IPv4Address("127.0.0.1"), 0) as probe:
        port = ForwardedPort(Transport.TCP, IPv4Address("127.0.0.1"), probe.getsockname()[1])
    target = ForwardTarget(
        instance=_INSTANCE, namespace=namespace, uid=_UID, gid=_UID, address4=IPv4Address(_ADDRESS)
    )
    with tempfile.TemporaryDirectory(prefix="kwhost-forward-") as directory:
        trio.run(_publish, Path(directory), port, target)
        try:
            yield port
        finally:
            trio.run(Forwarder.end, Path(directory))


async def _publish(run_dir: Path, port: ForwardedPort, target: ForwardTarget) -> None:
    forwarder = await Forwarder.open(run_dir)
    failures = await forwarder.synchronise({port: [Destination(_INSTANCE, _PORT)]}, [target])
    for error in failures.values():
        raise error
    forwarder.close()
