"""How much passes between two instances of a tenant, under kwhost's rules and beside plain interfaces."""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

from benchmarks.bench import KWHOST, Bench, compare
from benchmarks.commands import Command, find_program, output_of
from benchmarks.figures import Figure, MeasurementError, NotMeasurable, Target
from benchmarks.hosting import COMMAND, TENANT, HostingDaemon
from benchmarks.networks import (
    Attachments,
    add_bridge,
    address,
    filter_bridged,
    join,
    namespaces,
    need_networks,
    own_namespace,
    running,
)
from benchmarks.rounds import Sample, interleave
from kwhost.net.namespaces import run_inside
from kwhost.net.wishes import Namespace

__all__ = ["measure_bridge"]

_GROUP = "throughput between instances (per MiB)"
_PAIR, _BRIDGE, _FILTERED = "veth pair", "plain bridge", "kwhost, with br_netfilter"
_TARGET = Target(limit=0.9)
_AMOUNT, _AMOUNT_FROM_MACHINE = "500M", "50M"
_PATIENCE = 30.0
_PORT = 5201
_MEBIBIT = 8 << 20
# Of the plain ones; kwhost's instances have those that they are given.
_PLAIN = (("10.1.0.2", "fd00:1::2"), ("10.1.0.3", "fd00:1::3"))
_BRIDGED = (("10.2.0.2", "fd00:2::2"), ("10.2.0.3", "fd00:2::3"))

_Pair = tuple[str, str]


def measure_bridge(bench: Bench) -> list[Figure]:
    """A TCP connection by iperf3, over IPv4 and IPv6; and the same between programs in machines."""
    need_networks()
    iperf = find_program("iperf3")
    figures: list[Figure] = []
    with ExitStack() as stack:
        contenders = {
            KWHOST: stack.enter_context(_attached(filtered=False)),
            _PAIR: stack.enter_context(_joined()),
            _BRIDGE: stack.enter_context(_bridged()),
        }
        with suppress(NotMeasurable):
            contenders[_FILTERED] = stack.enter_context(_attached(filtered=True))
        for _, target, _ in contenders.values():
            stack.enter_context(running(target, [iperf, "--server"]))
        for version in (4, 6):
            samples: dict[str, Sample] = {
                label: partial(_throughput, iperf, source, target_addresses[version == 6])
                for label, (source, _, target_addresses) in contenders.items()
            }
            table = interleave(samples, bench.rounds)
            name, targets = f"IPv{version}, one connection", {_PAIR: _TARGET, _BRIDGE: None, _FILTERED: None}
            figures += compare(_GROUP, name, table, "ns", targets, speed=True)
        source, _, addresses = contenders[KWHOST]
        figures += _in_machines(bench, iperf, partial(_throughput, iperf, source, addresses[0]))
    return figures


@contextmanager
def _attached(*, filtered: bool) -> Iterator[tuple[Namespace, Namespace, _Pair]]:
    """Two instances of a tenant; `filtered`: by the rules for routed packets too (br_netfilter)."""
    with namespaces(3) as (host, *places):
        if not filter_bridged(host, on=filtered) and filtered:
            raise NotMeasurable("this kernel does not filter bridged packets")
        attachments = Attachments("bridge", host, len(places))
        both = [attachments.of(number, place) for number, place in enumerate(places)]
        attachments.apply(attachments.wishes(both))
        yield places[0], places[1], (str(both[1].address4), str(both[1].address6))


@contextmanager
def _joined() -> Iterator[tuple[Namespace, Namespace, _Pair]]:
    """Two namespaces with a pair of interfaces between them."""
    with namespaces(2) as (near, far):
        join(near, "eth0", far)
        _address_both(near, far, _PLAIN)
        yield near, far, _PLAIN[1]


@contextmanager
def _bridged() -> Iterator[tuple[Namespace, Namespace, _Pair]]:
    """Two namespaces that a bridge without rules connects."""
    with namespaces(3) as (host, near, far):
        filter_bridged(host, on=False)
        for name, place in (("near", near), ("far", far)):
            join(host, name, place)
        add_bridge(host, "bridge", ("near", "far"))
        _address_both(near, far, _BRIDGED)
        yield near, far, _BRIDGED[1]


def _address_both(near: Namespace, far: Namespace, addresses: Sequence[_Pair]) -> None:
    for place, (four, six) in zip((near, far), addresses, strict=True):
        address(place, "eth0", f"{four}/24", f"{six}/64")


def _throughput(iperf: str, source: Namespace, target: str) -> Mapping[str, float]:
    command = [iperf, "--client", target, "--bytes", _AMOUNT, "--json"]
    return _report(run_inside(source, partial(_until_connected, command)))


def _from_machine(daemon: HostingDaemon, iperf: str, target: str) -> Mapping[str, float]:
    client = [iperf, "--client", target, "--bytes", _AMOUNT_FROM_MACHINE, "--json"]
    inside = [sys.executable, "-m", "kwhost", "exec", "--host", str(daemon.api), f"{TENANT}/client", "--"]
    return _report(_until_connected([*inside, *client]))


def _until_connected(client: Command) -> str:
    """What a client says; at first there may be no server yet."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return output_of(client)
        except MeasurementError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _report(said: str) -> Mapping[str, float]:
    """Nanoseconds for each MiB that arrived."""
    received = json.loads(said)["end"]["sum_received"]
    return {"ns": 1e9 * _MEBIBIT / received["bits_per_second"]}


def _in_machines(bench: Bench, iperf: str, between_namespaces: Sample) -> list[Figure]:
    """Client and server are programs in virtual machines, hosted by a daemon."""
    commands = {"server": [iperf, "--server"], "client": list(COMMAND)}
    instances = (
        f"[tenants.{TENANT}.instances.{name}]\ncommand = {json.dumps(command)}\n"
        for name, command in commands.items()
    )
    more, directory = "\n".join(("network = {}", *instances)), bench.workspace.root / "bridge"
    with own_namespace() as host, HostingDaemon(directory, more=more, namespace=host) as daemon:
        filter_bridged(host, on=False)
        daemon.wait_until(lambda: len(daemon.instances()) == len(commands) and daemon.all_run(), 0.05)
        server = next(one for one in daemon.instances() if one["name"] == "server")
        target = server["addresses"][0]
        samples: dict[str, Sample] = {
            KWHOST: partial(_from_machine, daemon, iperf, target),
            "two namespaces on it": between_namespaces,
        }
        table = interleave(samples, bench.rounds)
    name = "IPv4, between programs in machines"
    return compare(_GROUP, name, table, "ns", {"two namespaces on it": None}, speed=True)
