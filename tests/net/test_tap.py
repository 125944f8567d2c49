"""A tap whose descriptor somebody drives, as an engine with a guest kernel would: through the same rules."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import pytest

from kwhost.core.errors import NetworkError
from kwhost.core.model.network import Transport
from kwhost.net.host import HostNetwork
from kwhost.net.layout import port_of
from kwhost.net.names import Mac
from kwhost.net.reasons import Reason
from kwhost.net.statistics import read_counts
from kwhost.net.wishes import Attachment, TapEnd
from tests.net.peer import TCP_PORT, Peer
from tests.net.probes import SILENCE, is_cut_off, make_socket, reaches, until
from tests.net.taps import driven
from tests.net.world import OWNER, World
from tests.patience import SECONDS

pytestmark = [pytest.mark.net, pytest.mark.root]


def with_tap(world: World, end: TapEnd | None = None) -> Attachment:
    return world.change(world.of(0, 0), end=end or TapEnd(uid=1234))


def address_of(one: Attachment | Peer, version: int) -> str:
    return str(one.address4 if version == 4 else one.address6)


@contextmanager
def caller(world: World, one: Attachment, version: int) -> Iterator[socket.socket]:
    """A socket in an instance's namespace."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with make_socket(world.place(one), family, socket.SOCK_STREAM) as made:
        made.settimeout(SECONDS)
        yield made


def given_back(world: World, one: Attachment, address: str, content: bytes) -> bytes:
    """What comes back over a TCP connection from an instance, up to its end."""
    with caller(world, one, 6 if ":" in address else 4) as client:
        client.connect((address, TCP_PORT))

        def send() -> None:
            client.sendall(content)
            client.shutdown(socket.SHUT_WR)

        sender = Thread(target=send)
        sender.start()
        received = b"".join(iter(lambda: client.recv(65536), b""))
        sender.join()
    return received


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("end", "queues"), [(TapEnd(uid=1234), 2), (TapEnd(uid=1234, multi_queue=False), 1)])
def test_a_tap_answers_ping(world: World, end: TapEnd, queues: int, version: int) -> None:
    one = with_tap(world, end)
    friend, address = world.of(0, 1), address_of(one, version)

    with driven(world, one, queues):
        until(
            lambda: reaches(world.place(friend), world.place(one), address, Transport.ICMP, SILENCE), SECONDS
        )


@pytest.mark.parametrize(
    "offloads", [pytest.param(False, id="plain", marks=pytest.mark.hw), pytest.param(True, id="offloads")]
)
@pytest.mark.parametrize("version", [4, 6])
def test_a_tap_serves_tcp_to_its_tenant(world: World, version: int, offloads: bool) -> None:
    one = with_tap(world)
    content = os.urandom(300_000)

    with driven(world, one, 2, offloads=offloads) as peer:
        assert given_back(world, world.of(0, 1), address_of(one, version), content) == content
        assert peer.damaged == 0
        assert (peer.longest > 1514) == offloads


@pytest.mark.parametrize("version", [4, 6])
def test_another_tenant_does_not_reach_a_tap(world: World, version: int) -> None:
    one = with_tap(world)
    friend, stranger, address = world.of(0, 1), world.of(1, 0), address_of(one, version)

    with driven(world, one, 1) as peer:
        with caller(world, stranger, version) as client, pytest.raises(OSError, match=r"refused|unreachable"):
            client.connect((address, TCP_PORT))
        assert is_cut_off(world.place(stranger), world.place(one), address, Transport.ICMP)

        assert given_back(world, friend, address, b"hello") == b"hello"
        assert {stranger.address4, stranger.address6}.isdisjoint(peer.heard)
        assert getattr(friend, f"address{version}") in peer.heard


def lie(peer: Peer, about: str) -> Reason:
    """Have a peer say that it is somebody else; why it is refused."""
    match about:
        case "mac":
            peer.mac = Mac("02:00:00:00:00:99")
            return Reason.HARDWARE_ADDRESS
        case "address4":
            peer.address4 += 100
            return Reason.FALSE_ARP
        case _:
            peer.address6 += 100
            return Reason.NEIGHBOUR_DISCOVERY


@pytest.mark.parametrize(
    ("about", "version"),
    [pytest.param("mac", 4, marks=pytest.mark.hw), ("mac", 6), ("address4", 4), ("address6", 6)],
)
def test_a_tap_that_says_it_is_somebody_else_is_not_heard(world: World, about: str, version: int) -> None:
    one, friend = with_tap(world), world.of(0, 1)

    def refusals(reason: Reason) -> int:
        return read_counts(world.host, world.wishes)[one.instance].refused.get(reason, 0)

    with driven(world, one, 1) as peer, caller(world, friend, version) as client:
        assert given_back(world, friend, address_of(peer, version), b"hello") == b"hello"
        reason = lie(peer, about)

        client.setblocking(False)
        client.connect_ex((address_of(peer, version), TCP_PORT))

        until(lambda: refusals(reason) > 0, SECONDS)
        with pytest.raises(OSError, match="not connected"):
            client.getpeername()


def test_a_tap_outlives_its_holder_and_the_daemon(world: World) -> None:
    one = with_tap(world)
    friend, address = world.of(0, 1), str(one.address4)
    with driven(world, one, 2):
        restarted = HostNetwork(OWNER, world.namespace)
        assert restarted.reconcile(world.wishes) == {}
        assert given_back(world, friend, address, b"hello") == b"hello"

    with driven(world, one, 1):
        assert given_back(world, friend, address, b"hello") == b"hello"


def test_more_queues_than_a_tap_has_are_an_error_that_names_it(world: World) -> None:
    one = with_tap(world, TapEnd(uid=1234, multi_queue=False))

    with pytest.raises(NetworkError, match=f"the tap {port_of(one)} has one queue, not 2"):
        world.host.open_tap(one, 2)


def test_a_tap_that_is_in_use_is_an_error_that_names_it(world: World) -> None:
    one = with_tap(world, TapEnd(uid=1234, multi_queue=False))

    with (
        driven(world, one, 1),
        pytest.raises(NetworkError, match=f"cannot open the tap {port_of(one)}: Device or resource busy"),
    ):
        world.host.open_tap(one, 1)


def test_an_instance_on_a_veth_pair_has_no_tap(world: World) -> None:
    with pytest.raises(NetworkError, match="acme/one is not attached by a tap"):
        world.host.open_tap(replace(world.of(0, 0)), 1)
