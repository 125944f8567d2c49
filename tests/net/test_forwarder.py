"""TCP ports of loopback addresses lead to instances."""

import hashlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trio

from kwhost.core.errors import Conflict
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import Transport
from kwhost.net.forwarder import Destination, ForwardedPort, Forwarder
from tests.net.forwarding import (
    INNER,
    Place,
    ask,
    connect,
    echo,
    free_port,
    publish,
    receive_all,
    relays,
    serving,
)
from tests.net.probes import make_socket
from tests.patience import SECONDS

pytestmark = [pytest.mark.net, pytest.mark.root]
MEBIBYTE = 1 << 20


def call_is_reset(port: ForwardedPort) -> bool:
    try:
        with connect(port) as client:
            return is_reset(client)
    except ConnectionResetError:  # so early that the call itself sees it
        return True


def is_reset(client: socket.socket) -> bool:
    try:
        client.recv(1)
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_port_leads_to_the_instance(forwarder: Forwarder, place: Place, address: str) -> None:
    port = free_port(address=address)
    await publish(forwarder, port, place)

    for family in (socket.AF_INET, socket.AF_INET6):
        with serving(place.namespace, echo, family=family):
            assert await trio.to_thread.run_sync(ask, port, b"ping") == b"ping"


@pytest.mark.parametrize(("listens_at", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
async def test_a_server_that_listens_on_loopback_alone_is_reached(
    forwarder: Forwarder, place: Place, listens_at: str, family: int
) -> None:
    port = free_port()
    await publish(forwarder, port, place)

    with serving(place.namespace, echo, listens_at, family=family):
        assert await trio.to_thread.run_sync(ask, port, b"ping") == b"ping"


async def test_a_server_sees_a_call_at_the_instances_own_address(forwarder: Forwarder, place: Place) -> None:
    """Not one from its loopback address, which many servers trust."""
    port = free_port()
    await publish(forwarder, port, place)

    def tell(peer: socket.socket) -> None:
        peer.sendall(peer.getpeername()[0].encode())

    with serving(place.namespace, tell):
        assert await trio.to_thread.run_sync(ask, port) == place.address4.encode()


async def test_either_side_may_end_first_and_go_on_reading(forwarder: Forwarder, place: Place) -> None:
    port = free_port()
    await publish(forwarder, port, place)
    heard: list[bytes] = []
    done = threading.Event()

    def end_first(peer: socket.socket) -> None:
        peer.sendall(b"all I say")
        peer.shutdown(socket.SHUT_WR)
        heard.append(receive_all(peer))
        done.set()

    def talk() -> None:
        with connect(port) as client:
            assert receive_all(client) == b"all I say"
            client.sendall(b"and now I")
        assert done.wait(SECONDS)

    with serving(place.namespace, end_first):
        await trio.to_thread.run_sync(talk)
    assert heard == [b"and now I"]
    with serving(place.namespace, lambda peer: peer.sendall(receive_all(peer)[::-1])):
        assert await trio.to_thread.run_sync(ask, port, b"abc") == b"cba"


async def test_a_reset_is_passed_on(forwarder: Forwarder, place: Place) -> None:
    port = free_port()
    await publish(forwarder, port, place)

    def reset(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(place.namespace, reset):
        assert await trio.to_thread.run_sync(call_is_reset, port)


async def test_a_call_that_nobody_takes_is_reset(forwarder: Forwarder, place: Place) -> None:
    port, empty = free_port(), free_port()
    await publish(forwarder, port, place)
    await publish(forwarder, empty)

    assert await trio.to_thread.run_sync(call_is_reset, port)
    assert await trio.to_thread.run_sync(call_is_reset, empty)
    assert (await forwarder.targets())[place.target.instance].counts.failures == 1


async def test_a_thousand_connections_at_once(forwarder: Forwarder, tmp_path: Path, place: Place) -> None:
    port = free_port()
    await publish(forwarder, port, place)

    def talk() -> None:
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(port)) for _ in range(1000)]
            for number, client in enumerate(clients):
                client.sendall(f"{number:04}".encode())
            for number, client in enumerate(clients):
                assert client.recv(4) == f"{number:04}".encode()

    with serving(place.namespace, echo):
        await trio.to_thread.run_sync(talk)
    with trio.fail_after(SECONDS):
        while (counts := (await forwarder.targets())[place.target.instance].counts).open_connections:
            await trio.sleep(0.01)
    assert (counts.connections, counts.bytes_in, counts.bytes_out) == (1000, 4000, 4000)
    [relay] = relays(tmp_path)
    assert len(os.listdir(f"/proc/{relay}/fd")) < 10 + 2 * 64  # it keeps some pipes


async def test_much_data_arrives_whole_in_both_directions(forwarder: Forwarder, place: Place) -> None:
    port = free_port()
    await publish(forwarder, port, place)
    block, blocks = os.urandom(MEBIBYTE), 100
    expected = hashlib.sha256(block * blocks).hexdigest()

    def talk() -> str:
        with connect(port) as client:
            sender = threading.Thread(target=lambda: client.sendall(block * blocks))
            sender.start()
            digest, size = hashlib.sha256(), 0
            while size < blocks * MEBIBYTE:
                data = client.recv(MEBIBYTE)
                digest.update(data)
                size += len(data)
            sender.join()
            return digest.hexdigest()

    with serving(place.namespace, echo):
        assert await trio.to_thread.run_sync(talk) == expected


@contextmanager
def named(*places: Place) -> Iterator[None]:
    """Each instance answers with its id."""
    with ExitStack() as stack:
        for place in places:
            name = place.target.instance.encode()
            stack.enter_context(serving(place.namespace, lambda peer, name=name: peer.sendall(name)))  # type: ignore[misc]
        yield


async def test_calls_go_to_instances_in_turn(forwarder: Forwarder, place: Place, other: Place) -> None:
    port = free_port()
    await publish(forwarder, port, place, other)

    with named(place, other):
        answers = [await trio.to_thread.run_sync(ask, port) for _ in range(6)]
    assert answers == [place.target.instance.encode(), other.target.instance.encode()] * 3


async def test_an_instance_that_takes_no_call_is_passed_over(
    forwarder: Forwarder, place: Place, other: Place
) -> None:
    port = free_port()
    await publish(forwarder, port, place, other)
    await forwarder.lead(port, [place.at(), Destination(InstanceId("unknown"), INNER), other.at()])

    with named(other):
        answers = {await trio.to_thread.run_sync(ask, port) for _ in range(6)}
    assert answers == {other.target.instance.encode()}


async def test_a_change_of_targets_leaves_transfers_alone(
    forwarder: Forwarder, place: Place, other: Place
) -> None:
    port = free_port()
    await publish(forwarder, port, place)
    await forwarder.attach(other.target)

    with serving(place.namespace, echo), named(other):
        client = await trio.to_thread.run_sync(connect, port)
        with client:
            client.sendall(b"before")
            assert client.recv(100) == b"before"
            await forwarder.lead(port, [other.at()])
            assert await trio.to_thread.run_sync(ask, port) == other.target.instance.encode()
            client.sendall(b"after")
            assert client.recv(100) == b"after"
            await forwarder.unpublish(port)
            client.sendall(b"unpublished")
            assert client.recv(100) == b"unpublished"


async def test_connections_end_with_their_target(forwarder: Forwarder, place: Place) -> None:
    port = free_port()
    await publish(forwarder, port, place)

    with serving(place.namespace, echo), await trio.to_thread.run_sync(connect, port) as client:
        client.sendall(b"ping")
        assert client.recv(4) == b"ping"
        await forwarder.detach(place.target.instance)
        assert await trio.to_thread.run_sync(is_reset, client) or client.recv(1) == b""


async def test_one_that_never_reads_hurts_no_other(forwarder: Forwarder, place: Place, other: Place) -> None:
    """Its relay is full of what nobody takes, and the other instance's does not notice."""
    stuck, well = free_port(), free_port()
    await publish(forwarder, stuck, place)
    await publish(forwarder, well, other)
    over = threading.Event()

    def hang(_: socket.socket) -> None:
        over.wait(SECONDS)

    def fill(client: socket.socket) -> None:
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(1 << 30))

    with serving(place.namespace, hang), serving(other.namespace, echo), ExitStack() as clients:
        for _ in range(20):
            client = clients.enter_context(await trio.to_thread.run_sync(connect, stuck))
            await trio.to_thread.run_sync(fill, client)
        for _ in range(50):
            assert await trio.to_thread.run_sync(ask, well, b"ping") == b"ping"
        over.set()


async def test_one_whose_relay_hangs_hurts_no_other(
    forwarder: Forwarder, tmp_path: Path, place: Place, other: Place
) -> None:
    """More calls than its relay has room for wait, and are served when it goes on."""
    stuck, well = free_port(), free_port()
    await publish(forwarder, stuck, place)
    [relay] = relays(tmp_path)
    await publish(forwarder, well, other)
    os.kill(relay, signal.SIGSTOP)

    def call() -> list[socket.socket]:
        clients = [connect(stuck) for _ in range(700)]
        for client in clients:
            client.sendall(b"ping")
        return clients

    with serving(place.namespace, echo), serving(other.namespace, echo), ExitStack() as stack:
        clients = await trio.to_thread.run_sync(call)
        for client in clients:
            stack.enter_context(client)
        assert await trio.to_thread.run_sync(ask, well, b"ping") == b"ping"
        os.kill(relay, signal.SIGCONT)
        for client in clients:
            assert await trio.to_thread.run_sync(client.recv, 4) == b"ping"


@pytest.mark.slow
async def test_calls_leave_an_instance_whose_server_hangs(
    forwarder: Forwarder, place: Place, other: Place
) -> None:
    port = free_port()
    await publish(forwarder, port, place)
    with make_socket(place.namespace, socket.AF_INET, socket.SOCK_STREAM) as server, ExitStack() as stack:
        server.bind(("", INNER))
        server.listen(0)  # one call is taken by the kernel, further ones are not answered
        first = stack.enter_context(await trio.to_thread.run_sync(connect, port))
        with trio.fail_after(SECONDS):
            while not (await forwarder.targets())[place.target.instance].counts.connections:
                await trio.sleep(0.01)
        await publish(forwarder, port, place, other)
        with named(other):
            answers = [await trio.to_thread.run_sync(ask, port) for _ in range(2)]
        first.close()
    assert answers == [other.target.instance.encode()] * 2


async def test_a_port_that_is_taken_is_an_error(forwarder: Forwarder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = free_port()._replace(number=server.getsockname()[1])

        with pytest.raises(Conflict, match=f"the tcp port {taken.number} of 127.0.0.1 is taken"):
            await forwarder.listen(taken)


async def test_a_port_is_free_again_at_once(forwarder: Forwarder, place: Place) -> None:
    port = free_port(Transport.TCP)
    await publish(forwarder, port, place)
    await forwarder.unpublish(port)

    await forwarder.listen(port)
    assert await forwarder.ports() == {port: ()}
