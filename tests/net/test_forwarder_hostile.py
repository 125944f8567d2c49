"""Instances that do their worst, while another tenant's port is served."""

import os
import random
import signal
import socket
import struct
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import trio

from kwhost.core.model.network import Transport
from kwhost.net.forwarder import ForwardedPort, Forwarder
from tests.net.forwarding import (
    INNER,
    Place,
    ask,
    connect,
    echo,
    forwarders,
    free_port,
    publish,
    relays,
    serving,
)
from tests.net.probes import make_socket
from tests.patience import SECONDS

pytestmark = [pytest.mark.net, pytest.mark.root]
AT_ONCE = struct.pack("ii", 1, 0)


@pytest.fixture
def hostile(place: Place) -> Place:
    return place


@pytest.fixture
def well(other: Place) -> Place:
    return other


async def published(
    forwarder: Forwarder, place: Place, transport: Transport = Transport.TCP
) -> ForwardedPort:
    port = free_port(transport)
    await publish(forwarder, port, place)
    return port


def misbehave(peer: socket.socket) -> None:
    """Something else each time."""
    chance = random.Random()
    for _ in range(chance.randrange(4)):
        what = chance.randrange(4)
        if what == 0:
            peer.settimeout(0.01)
            with suppress(TimeoutError):
                peer.sendall(bytes(chance.randrange(1 << 20)))
        elif what == 1:
            peer.settimeout(0.01)
            with suppress(TimeoutError):
                peer.recv(chance.randrange(1, 100_000))
        elif what == 2:
            peer.shutdown(chance.choice((socket.SHUT_RD, socket.SHUT_WR)))
    if chance.random() < 0.5:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)


def call_badly(port: ForwardedPort) -> None:
    with suppress(OSError), connect(port) as client:
        misbehave(client)


async def test_resets_and_halves_at_every_moment_leave_nothing_open(
    forwarder: Forwarder, tmp_path: Path, hostile: Place, well: Place
) -> None:
    port, other = await published(forwarder, hostile), await published(forwarder, well)

    def call_many() -> None:
        for _ in range(100):
            call_badly(port)

    with serving(hostile.namespace, misbehave), serving(well.namespace, echo):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(trio.to_thread.run_sync, call_many)
            for _ in range(20):
                assert await trio.to_thread.run_sync(ask, other, b"ping") == b"ping"
        with trio.fail_after(SECONDS):
            while (await forwarder.targets())[hostile.target.instance].counts.open_connections:
                await trio.sleep(0.01)
    [process], every = forwarders(tmp_path), relays(tmp_path)
    assert len(every) == 2
    assert len(os.listdir(f"/proc/{process}/fd")) < 30
    assert all(len(os.listdir(f"/proc/{relay}/fd")) < 10 + 2 * 64 for relay in every)


async def test_a_flood_of_answers_does_not_hold_up_others(
    forwarder: Forwarder, hostile: Place, well: Place
) -> None:
    """To one datagram the instance answers without end."""
    flooded, other = await published(forwarder, hostile, Transport.UDP), await published(forwarder, well)
    over = threading.Event()

    def flood(server: socket.socket) -> None:
        _, client = server.recvfrom(100)
        while not over.is_set():
            with suppress(OSError):
                server.sendto(bytes(1400), client)

    with make_socket(hostile.namespace, socket.AF_INET, socket.SOCK_DGRAM) as server, ExitStack() as stack:
        server.bind(("", INNER))
        thread = threading.Thread(target=flood, args=(server,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(over.set)
        client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.connect((str(flooded.address), flooded.number))
        client.send(b"go")
        with serving(well.namespace, echo):
            for _ in range(20):
                assert await trio.to_thread.run_sync(ask, other, b"ping") == b"ping"


async def test_a_killed_relay_ends_its_own_connections_alone(
    forwarder: Forwarder, tmp_path: Path, hostile: Place, well: Place
) -> None:
    port = await published(forwarder, hostile)
    [relay] = relays(tmp_path)
    other = await published(forwarder, well)

    with serving(hostile.namespace, echo), serving(well.namespace, echo), ExitStack() as stack:
        lost = stack.enter_context(await trio.to_thread.run_sync(connect, port))
        kept = stack.enter_context(await trio.to_thread.run_sync(connect, other))
        for client in (lost, kept):
            client.sendall(b"ping")
            assert await trio.to_thread.run_sync(client.recv, 4) == b"ping"
        os.kill(relay, signal.SIGKILL)
        with suppress(ConnectionResetError):
            assert await trio.to_thread.run_sync(lost.recv, 4) == b""
        kept.sendall(b"ping")
        assert await trio.to_thread.run_sync(kept.recv, 4) == b"ping"
