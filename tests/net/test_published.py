"""Ports of the host that lead to instances, by nftables."""

import socket
from dataclasses import replace
from ipaddress import ip_address

import pytest

from kwhost.core.model.network import Transport
from kwhost.net.wishes import Attachment, Namespace, Published
from tests.net.probes import listening, make_socket, readable
from tests.net.world import HOST4, HOST6, World

pytestmark = [pytest.mark.net, pytest.mark.root]
KINDS = {Transport.TCP: socket.SOCK_STREAM, Transport.UDP: socket.SOCK_DGRAM}
INNER = 7000


def publish(world: World, *targets: Attachment, **changes: object) -> None:
    one = Published(
        transport=Transport.TCP, port=80, target_port=INNER, targets=tuple(one.instance for one in targets)
    )
    world.apply(replace(world.wishes, published=(replace(one, **changes),)))  # type: ignore[arg-type]


def call(source: Namespace, address: str, transport: Transport = Transport.TCP, port: int = 80) -> bool:
    """Whether a call is answered with what was sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with make_socket(source, family, KINDS[transport]) as client:
        try:
            client.connect((address, port))
            client.send(b"ping")
        except OSError:
            return False
        return True


@pytest.mark.parametrize("transport", KINDS)
@pytest.mark.parametrize("address", [HOST4, HOST6])
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_published_port_leads_to_the_instance(
    world: World, transport: Transport, address: str, *, everywhere: bool
) -> None:
    one = world.of(0, 0)
    publish(world, one, transport=transport, address=None if everywhere else ip_address(address))

    for source in (world.outside, world.namespace):
        with listening(world.place(one), address, KINDS[transport], INNER) as server:
            assert call(source, address, transport)
            peer = server.accept()[0] if transport is Transport.TCP else server
            assert peer.recv(10) == b"ping"
            if transport is Transport.TCP:
                peer.close()


def test_a_port_of_one_address_is_no_port_of_another(world: World) -> None:
    one = world.of(0, 0)
    publish(world, one, address=ip_address("192.168.7.1"))

    with listening(world.place(one), HOST4, socket.SOCK_STREAM, INNER):
        assert not call(world.outside, HOST4)
        assert call(world.outside, "192.168.7.1")


@pytest.mark.hw
def test_replicas_are_called_in_turn_and_those_left_out_are_not(world: World) -> None:
    one, two, three = (world.of(0, number) for number in range(3))
    publish(world, one, two)

    with (
        listening(world.place(one), HOST4, socket.SOCK_STREAM, INNER) as first,
        listening(world.place(two), HOST4, socket.SOCK_STREAM, INNER) as second,
        listening(world.place(three), HOST4, socket.SOCK_STREAM, INNER) as third,
    ):
        assert all(call(world.outside, HOST4) for _ in range(8))
        assert accepted(8, first, second, third) == [4, 4, 0]

        publish(world, two)
        assert all(call(world.outside, HOST4) for _ in range(4))
        assert accepted(4, first, second, third) == [0, 4, 0]


def accepted(calls: int, *servers: socket.socket) -> list[int]:
    """How many of so many calls come to each, where they are ended; a moment after they were made."""
    counts = dict.fromkeys(servers, 0)
    for _ in range(calls):
        server = readable(*servers)[0]
        server.accept()[0].close()
        counts[server] += 1
    return list(counts.values())


def test_a_port_that_is_no_longer_published_leads_nowhere(world: World) -> None:
    one = world.of(0, 0)
    publish(world, one)
    world.apply(replace(world.wishes, published=()))

    with listening(world.place(one), HOST4, socket.SOCK_STREAM, INNER):
        assert not call(world.outside, HOST4)


def test_a_published_port_opens_no_way_for_other_tenants(world: World) -> None:
    one, stranger = world.of(0, 0), world.of(1, 0)
    publish(world, one)

    with listening(world.place(one), HOST4, socket.SOCK_STREAM, INNER):
        assert not call(world.place(stranger), HOST4)


def test_loopback_addresses_lead_nowhere(world: World) -> None:
    """They are the forwarder's, so that route_localnet stays off."""
    one = world.of(0, 0)
    publish(world, one)

    with listening(world.place(one), HOST4, socket.SOCK_STREAM, INNER):
        assert not call(world.namespace, "127.0.0.1")
        assert not call(world.namespace, "::1")
