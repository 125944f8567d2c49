"""UDP ports of loopback addresses lead to instances."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread

import pytest
import trio

from kwhost.core.model.network import Transport
from kwhost.net.forwarder import ForwardedPort, Forwarder
from kwhost.net.wishes import Namespace
from tests.net.forwarding import INNER, Place, free_port, publish
from tests.net.probes import make_socket
from tests.patience import SECONDS

pytestmark = [pytest.mark.net, pytest.mark.root]


@contextmanager
def answering(
    namespace: Namespace, prefix: bytes = b"", address: str = "", family: int = socket.AF_INET
) -> Iterator[None]:
    """Answer each datagram with itself, twice if it says so."""
    server = make_socket(namespace, family, socket.SOCK_DGRAM)
    server.settimeout(None)
    server.bind((address, INNER))

    def serve() -> None:
        while True:
            data, client = server.recvfrom(65536)
            if data == b"end":
                return
            for _ in range(2 if data == b"twice" else 1):
                server.sendto(prefix + data, client)

    thread = Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        with make_socket(namespace, family, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", (address or ("::1" if family == socket.AF_INET6 else "127.0.0.1"), INNER))
        thread.join()
        server.close()


@contextmanager
def client_of(port: ForwardedPort) -> Iterator[socket.socket]:
    """It hears nobody but the published port."""
    family = socket.AF_INET6 if port.address.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(SECONDS)
        client.connect((str(port.address), port.number))
        yield client


def exchange(client: socket.socket, data: bytes) -> bytes:
    client.send(data)
    return client.recv(65536)


def exchange_at_last(client: socket.socket, data: bytes) -> bytes:
    """Ask again until a datagram is not lost among those of others."""
    client.settimeout(0.1)
    for _ in range(10 * SECONDS):
        with suppress(TimeoutError):
            return exchange(client, data)
    raise TimeoutError


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_datagrams_reach_the_instance_and_are_answered(
    forwarder: Forwarder, place: Place, address: str
) -> None:
    port = free_port(Transport.UDP, address)
    await publish(forwarder, port, place)

    with answering(place.namespace), client_of(port) as client:
        for data in (b"ping", b"", b"x" * 60_000):
            assert await trio.to_thread.run_sync(exchange, client, data) == data
    with trio.fail_after(SECONDS):  # an answer is counted once it is on its way
        while (counts := (await forwarder.targets())[place.target.instance].counts).datagrams_out < 3:
            await trio.sleep(0.01)
    assert (counts.sessions, counts.datagrams_in, counts.datagrams_out) == (1, 3, 3)


@pytest.mark.parametrize(("listens_at", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
async def test_a_server_that_listens_on_loopback_alone_is_reached(
    forwarder: Forwarder, place: Place, listens_at: str, family: int
) -> None:
    port = free_port(Transport.UDP)
    await publish(forwarder, port, place)

    with answering(place.namespace, address=listens_at, family=family), client_of(port) as client:
        assert await trio.to_thread.run_sync(exchange, client, b"ping") == b"ping"


async def test_a_server_may_answer_more_than_once(forwarder: Forwarder, place: Place) -> None:
    port = free_port(Transport.UDP)
    await publish(forwarder, port, place)

    with answering(place.namespace), client_of(port) as client:
        assert await trio.to_thread.run_sync(exchange, client, b"twice") == b"twice"
        assert await trio.to_thread.run_sync(client.recv, 100) == b"twice"


async def test_a_client_stays_with_its_instance(forwarder: Forwarder, place: Place, other: Place) -> None:
    port = free_port(Transport.UDP)
    await publish(forwarder, port, place, other)

    with answering(place.namespace, b"one"), answering(other.namespace, b"two"), ExitStack() as stack:
        clients = [stack.enter_context(client_of(port)) for _ in range(4)]
        first = [await trio.to_thread.run_sync(exchange, client, b"") for client in clients]
        await forwarder.lead(port, [other.at(), place.at()])
        again = [await trio.to_thread.run_sync(exchange, client, b"") for client in clients]
    assert first == again == [b"one", b"two"] * 2


async def test_a_client_of_an_instance_that_is_left_out_gets_another(
    forwarder: Forwarder, place: Place, other: Place
) -> None:
    port = free_port(Transport.UDP)
    await publish(forwarder, port, place, other)

    with answering(place.namespace, b"one"), answering(other.namespace, b"two"), client_of(port) as client:
        assert await trio.to_thread.run_sync(exchange, client, b"") == b"one"
        await forwarder.lead(port, [other.at()])
        assert await trio.to_thread.run_sync(exchange, client, b"") == b"two"


async def test_a_server_that_comes_later_is_found(forwarder: Forwarder, place: Place) -> None:
    port = free_port(Transport.UDP)
    await publish(forwarder, port, place)

    with client_of(port) as client:
        client.send(b"lost")
        with trio.fail_after(SECONDS):
            while not (await forwarder.targets())[place.target.instance].counts.dropped:
                await trio.sleep(0.01)
        with answering(place.namespace):
            assert await trio.to_thread.run_sync(exchange, client, b"ping") == b"ping"


async def test_a_port_with_sessions_can_be_taken_again(forwarder: Forwarder, place: Place) -> None:
    port = free_port(Transport.UDP)
    await publish(forwarder, port, place)

    with answering(place.namespace), client_of(port) as client:
        assert await trio.to_thread.run_sync(exchange, client, b"ping") == b"ping"
        await forwarder.unpublish(port)
        await publish(forwarder, port, place)
        assert await trio.to_thread.run_sync(exchange, client, b"ping") == b"ping"


async def test_a_flood_of_clients_is_bounded(forwarder: Forwarder, place: Place) -> None:
    """Who was silent longest is given up."""
    port = free_port(Transport.UDP)
    await publish(forwarder, port, place)

    def flood() -> None:
        for _ in range(3000):
            with client_of(port) as client:
                client.send(b"ping")

    with answering(place.namespace):
        await trio.to_thread.run_sync(flood)
        with client_of(port) as client:
            assert await trio.to_thread.run_sync(exchange_at_last, client, b"ping") == b"ping"
    assert (await forwarder.targets())[place.target.instance].counts.open_sessions <= 1024
