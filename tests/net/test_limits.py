"""Rates and connections stay within their limits, in both directions; measured with real packets."""

import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import pytest

from kwhost.core.model.network import NetworkLimits, Transport
from kwhost.net.layout import port_of
from kwhost.net.names import bridge_name
from kwhost.net.namespaces import run_inside
from kwhost.net.reasons import Reason
from kwhost.net.statistics import read_counts
from kwhost.net.wishes import Namespace, Published
from tests.net.namespaces import filter_bridged, write_setting
from tests.net.probes import SILENCE, listening, make_socket, reaches
from tests.net.world import HOST4, HOST6, OUTSIDE4, OWNER, WORLD, World
from tests.patience import SECONDS

pytestmark = [pytest.mark.net, pytest.mark.root]
RATE = 20_000_000
NEARLY = 0.9


def _send_until(client: socket.socket, over: Event) -> None:
    data = bytes(65536)
    while not over.is_set():
        try:
            client.send(data)
        except OSError:
            return


def _received(namespace: Namespace) -> int:
    """Bytes that the interface of a namespace has received."""
    lines = run_inside(namespace, lambda: Path("/proc/thread-self/net/dev").read_text().splitlines())
    return next(int(line.split()[1]) for line in lines if line.strip().startswith("eth0:"))


def throughput(source: Namespace, target: Namespace, address: str, wanted: int = RATE) -> float:
    """Bits that arrive of a TCP connection in the fastest second, of three, or of more until it is `wanted`.

    While this machine does something else less arrives than may, and never more.
    """
    over = Event()
    seconds: list[float] = []
    with (
        listening(target, address, socket.SOCK_STREAM) as server,
        make_socket(source, socket.AF_INET, socket.SOCK_STREAM) as client,
    ):
        client.connect((address, 7000))
        connection, _ = server.accept()
        sender = Thread(target=_send_until, args=(client, over))
        sender.start()
        with connection:
            _receive(connection, target, 0.5)  # with the burst that may pass at first
            end = time.monotonic() + SECONDS / 2
            while len(seconds) < 3 or (max(seconds) < NEARLY * wanted and time.monotonic() < end):
                seconds.append(_receive(connection, target, 1))
            over.set()
        sender.join()
    return max(seconds)


def _receive(connection: socket.socket, target: Namespace, seconds: float) -> float:
    """Bits a second that arrive in so many seconds."""
    begin, before = time.monotonic(), _received(target)
    while time.monotonic() < begin + seconds:
        connection.recv(1 << 20)
    bits = (_received(target) - before) * 8
    return bits / (time.monotonic() - begin)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["upload", "download"])
def test_an_instance_sends_and_receives_at_its_rate(world: World, direction: str) -> None:
    limits = NetworkLimits(upload=RATE) if direction == "upload" else NetworkLimits(download=RATE)
    one, other = world.change(world.of(0, 0), limits=limits), world.of(0, 1)
    source, target = (one, other) if direction == "upload" else (other, one)

    rate = throughput(world.place(source), world.place(target), str(target.address4))

    assert rate == pytest.approx(RATE, rel=0.1)


@pytest.mark.slow
def test_a_changed_rate_holds_at_once_for_what_runs(world: World) -> None:
    one, other = world.change(world.of(0, 0), limits=NetworkLimits(upload=4 * RATE)), world.of(0, 1)
    one = world.change(one, limits=NetworkLimits(upload=RATE))

    rate = throughput(world.place(one), world.place(other), str(other.address4))

    assert rate == pytest.approx(RATE, rel=0.1)


def test_a_tenants_upload_rate_that_cannot_work_here_is_an_error_of_its_new_instances_alone(
    bare_world: World,
) -> None:
    try:
        write_setting(bare_world.namespace, "bridge/bridge-nf-call-iptables", "1")
    except FileNotFoundError:
        pytest.skip("this kernel does not filter bridged packets (br_netfilter)")
    running, new = bare_world.of(0, 0), bare_world.of(0, 1)
    others = tuple(one for one in bare_world.wishes.attachments if one.tenant != running.tenant)
    bare_world.apply(replace(bare_world.wishes, attachments=(running,)))
    mine, other = bare_world.wishes.networks
    limited = replace(mine, limits=NetworkLimits(upload=RATE))
    wishes = replace(bare_world.wishes, networks=(limited, other), attachments=(running, new, *others))

    for attempt in (bare_world.host.change, bare_world.host.reconcile):
        failures = attempt(wishes)

        assert failures.keys() == {bridge_name(OWNER, mine.tenant), port_of(new)}
        for error in failures.values():
            assert re.search(r"upload rate of tenant acme cannot.*run sysctl net\.bridge", str(error))
        for one in (running, *others):
            assert reaches(bare_world.namespace, bare_world.place(one), str(one.address4), Transport.TCP)

    filter_bridged(bare_world.namespace, on=False)
    assert bare_world.host.change(wishes) == {}
    assert bare_world.host.steps(wishes) == ()


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["upload", "download"])
def test_instances_of_a_tenant_share_its_rate_to_the_outside(world: World, direction: str) -> None:
    filter_bridged(world.namespace, on=False)
    attachments = tuple(replace(one, egress=WORLD) for one in world.wishes.attachments)
    networks = tuple(replace(net, limits=NetworkLimits(**{direction: RATE})) for net in world.wishes.networks)
    world.apply(replace(world.wishes, networks=networks, attachments=attachments))
    one, other = world.of(0, 0), world.of(0, 1)

    if direction == "upload":
        outward = throughput(world.place(one), world.outside, OUTSIDE4)
    else:
        world.apply(
            replace(
                world.wishes,
                published=(
                    Published(transport=Transport.TCP, port=7000, target_port=7000, targets=(one.instance,)),
                ),
            )
        )
        outward = throughput(world.outside, world.place(one), HOST4)
    within = throughput(world.place(one), world.place(other), str(other.address4), 6 * RATE)

    assert outward == pytest.approx(RATE, rel=0.1)
    assert within > 5 * RATE


def hears(server: socket.socket, seconds: float) -> bool:
    if not select.select([server], [], [], seconds)[0]:
        return False
    return server.recv(10) == b"x"


class Way(NamedTuple):
    """Where datagrams go."""

    source: Namespace
    target: Namespace
    address: str
    port: int = 7000


class Flow(NamedTuple):
    """How many datagrams were sent and heard in so many seconds, and heard in the fastest second."""

    sent: int
    heard: int
    seconds: float
    fastest: float

    def keeps(self, rate: int) -> bool:
        """Whether it is at a rate, and never more than a tenth of a second's packets beyond."""
        return self.fastest > NEARLY * rate and self.heard <= rate * (1.1 * self.seconds + 0.1)


@contextmanager
def way(way: Way) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Its ends, which know each other's hardware addresses."""
    with (
        listening(way.target, way.address, socket.SOCK_DGRAM, way.port) as server,
        make_socket(way.source, socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.connect((way.address, way.port))
        client.send(b"x")
        assert hears(server, SECONDS)
        yield client, server


def packets(rate: int, *ways: Way) -> Flow:
    """Send as many as possible over all ways for two seconds, or until in one as many are heard as may be."""
    with ExitStack() as stack:
        ends = [stack.enter_context(way(each)) for each in ways]
        sent = heard = 0
        seconds: list[float] = []
        begin = time.monotonic()
        while len(seconds) < 2 or (max(seconds) < NEARLY * rate and time.monotonic() < begin + SECONDS / 2):
            second, before = time.monotonic(), heard
            while time.monotonic() < second + 1:
                for client, server in ends:
                    client.send(b"x")
                    sent += 1
                    heard += hears(server, 0)
            seconds.append((heard - before) / (time.monotonic() - second))
        elapsed = time.monotonic() - begin
        for _, server in ends:
            while hears(server, SILENCE):
                heard += 1
    return Flow(sent, heard, elapsed, max(seconds))


def all_arrive(way_: Way, count: int) -> bool:
    """Whether so many packets that are sent at once are heard."""
    with way(way_) as (client, server):
        for _ in range(count):
            client.send(b"x")
        return all(hears(server, SECONDS) for _ in range(count))


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["upload", "download"])
def test_packets_pass_at_their_rate_and_the_rest_is_counted(world: World, direction: str) -> None:
    rate = 500
    one = world.change(world.of(0, 0), limits=NetworkLimits(**{f"{direction}_packets": rate}))
    other = world.of(0, 1)
    source, target = (one, other) if direction == "upload" else (other, one)

    flow = packets(rate, Way(world.place(source), world.place(target), str(target.address4)))

    assert flow.keeps(rate), flow
    refused = read_counts(world.host, world.wishes)[one.instance].refused[Reason.PACKET_RATE]
    assert refused == pytest.approx(flow.sent - flow.heard, abs=20)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["upload", "download"])
def test_instances_of_a_tenant_share_its_packet_rate_to_the_outside(world: World, direction: str) -> None:
    rate = 500
    networks = tuple(
        replace(net, limits=NetworkLimits(**{f"{direction}_packets": rate})) for net in world.wishes.networks
    )
    attachments = tuple(replace(one, egress=WORLD) for one in world.wishes.attachments)
    one, two, three = (world.of(0, number) for number in range(3))
    published = tuple(
        Published(transport=Transport.UDP, port=port, target_port=port, targets=(target.instance,))
        for port, target in ((7000, one), (7001, two))
    )
    world.apply(replace(world.wishes, networks=networks, attachments=attachments, published=published))

    def share(place: Namespace, port: int) -> Way:
        if direction == "upload":
            return Way(place, world.outside, OUTSIDE4, port)
        return Way(world.outside, place, HOST4, port)

    flow = packets(rate, *map(share, map(world.place, (one, two)), (7000, 7001)))

    assert flow.keeps(rate), flow
    assert all_arrive(Way(world.place(one), world.place(three), str(three.address4)), 200)


@contextmanager
def connected(source: Namespace, count: int, address: str = OUTSIDE4, port: int = 7000) -> Iterator[int]:
    """As many connections to an address, of the outside by default, as can be, at most `count`; says how
    many."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as stack:
        made = 0
        for _ in range(count):
            client = stack.enter_context(make_socket(source, family, socket.SOCK_STREAM))
            try:
                client.connect((address, port))
            except OSError:
                continue
            made += 1
        yield made


@pytest.mark.hw
def test_an_instance_has_as_many_connections_as_its_limit(world: World) -> None:
    one = world.change(world.of(0, 0), egress=WORLD, limits=NetworkLimits(connections=5))

    with listening(world.outside, OUTSIDE4, socket.SOCK_STREAM), connected(world.place(one), 10) as made:
        assert made == 5
    assert read_counts(world.host, world.wishes)[one.instance].refused[Reason.CONNECTIONS] >= 5


@pytest.mark.parametrize("address", [HOST4, HOST6])
@pytest.mark.parametrize("limited", ["instance", "tenant"])
def test_calls_to_published_ports_count_as_connections(world: World, address: str, limited: str) -> None:
    """Those of the host itself do not."""
    one, limits = world.of(0, 0), NetworkLimits(connections=5)
    attachments, networks = world.wishes.attachments, world.wishes.networks
    if limited == "instance":
        attachments = tuple(
            replace(each, limits=limits) if each.instance == one.instance else each for each in attachments
        )
    else:
        networks = tuple(replace(each, limits=limits) for each in networks)
    port = Published(transport=Transport.TCP, port=80, target_port=7000, targets=(one.instance,))
    world.apply(replace(world.wishes, attachments=attachments, networks=networks, published=(port,)))

    with (
        listening(world.place(one), address, socket.SOCK_STREAM),
        connected(world.outside, 8, address, 80) as outside,
        connected(world.namespace, 8, address, 80) as own,
    ):
        assert (outside, own) == (5, 8)
    assert read_counts(world.host, world.wishes)[one.instance].refused[Reason.CONNECTIONS] >= 3


def test_a_tenant_has_as_many_connections_as_its_limit(world: World) -> None:
    attachments = tuple(replace(one, egress=WORLD) for one in world.wishes.attachments)
    networks = tuple(replace(net, limits=NetworkLimits(connections=7)) for net in world.wishes.networks)
    world.apply(replace(world.wishes, networks=networks, attachments=attachments))

    with (
        listening(world.outside, OUTSIDE4, socket.SOCK_STREAM),
        connected(world.place(world.of(0, 0)), 5) as first,
        connected(world.place(world.of(1, 0)), 5) as others,
    ):
        second = sum(
            reaches(world.place(world.of(0, 1)), world.outside, OUTSIDE4, Transport.UDP) for _ in range(5)
        )

    assert (first, second, others) == (5, 2, 5)
