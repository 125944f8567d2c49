"""Published ports on loopback addresses as the daemon has them served, whatever ends meanwhile."""

import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from kwhost.core.daemon.network_members import Member
from kwhost.core.daemon.network_ports import LoopbackPorts
from kwhost.core.errors import Conflict
from kwhost.core.model.network import Transport
from kwhost.net.forwarder import ForwardedPort
from tests.net.daemon_ports import running_member
from tests.net.forwarding import (
    Place,
    ask,
    connect,
    echo,
    forwarders,
    free_port,
    made_place,
    receive_all,
    relays,
    serving,
)
from tests.net.test_forwarder_process import is_running, until

pytestmark = [pytest.mark.net, pytest.mark.root]


class Ports:
    """The daemon's ports with the members that they are for, and what was told of them."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.members: list[Member] = []
        self.told: list[str] = []
        self.loopback = LoopbackPorts(run_dir, lambda: self.members)

    async def publish(self, *members: Member) -> None:
        self.members = list(members)
        await self.loopback.publish()

    async def tell(self, text: str) -> None:
        self.told.append(text)

    def forget(self) -> None:
        """What a daemon that is killed had open is closed."""
        forwarder = self.loopback._forwarder
        assert forwarder
        forwarder.close()
        self.loopback._listeners.close()

    async def kill_forwarder(self) -> None:
        [process], [relay] = forwarders(self.run_dir), relays(self.run_dir)
        os.kill(process, signal.SIGKILL)
        await until(lambda: not is_running(process) and not is_running(relay))

    async def wait_another_relay(self, relay: int) -> None:
        await until(lambda: relays(self.run_dir) not in ([], [relay]))

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.loopback.keep, self.tell)
            yield
            nursery.cancel_scope.cancel()


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[Ports]:
    made = Ports(tmp_path)
    try:
        yield made
    finally:
        with trio.CancelScope(shield=True):
            await made.loopback.stop()


@pytest.fixture
def place() -> Iterator[Place]:
    with made_place(1) as place:
        yield place


async def asked(port: ForwardedPort, request: bytes = b"?") -> bytes:
    return await trio.to_thread.run_sync(ask, port, request)


def is_taken(port: ForwardedPort) -> bool:
    """Whether another program that binds the port would be refused."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind((str(port.address), port.number))
        except OSError:
            return True
    return False


async def test_a_later_run_of_an_instance_is_led_to_also_if_nothing_was_published_between(
    ports: Ports, place: Place
) -> None:
    port = free_port()
    with (
        made_place(2) as other,
        running_member(place, port) as first,
        running_member(other, port) as second,
        serving(place.namespace, lambda peer: peer.sendall(b"first")),
        serving(other.namespace, lambda peer: peer.sendall(b"second")),
    ):
        await ports.publish(first)
        assert await asked(port, b"") == b"first"

        await ports.publish(second)

        assert first.record.id == second.record.id
        assert await asked(port, b"") == b"second"


async def test_a_relay_that_was_killed_is_started_again_at_once(ports: Ports, place: Place) -> None:
    port = free_port()
    with running_member(place, port) as member, serving(place.namespace, echo):
        await ports.publish(member)
        async with ports.kept():
            for _ in range(2):
                [relay] = relays(ports.run_dir)

                os.kill(relay, signal.SIGKILL)

                await ports.wait_another_relay(relay)
                assert await asked(port) == b"?"

    assert ports.told[0] == (
        f"connections through the published ports of {member.record.name} have ended; they are served again"
    )


async def test_a_call_is_answered_although_the_forwarder_was_killed_before_it(
    ports: Ports, place: Place
) -> None:
    port = free_port()
    with running_member(place, port) as member, serving(place.namespace, echo):
        await ports.publish(member)
        await ports.kill_forwarder()

        assert is_taken(port)
        with connect(port) as client:
            client.sendall(b"held")
            client.shutdown(socket.SHUT_WR)
            async with ports.kept():
                assert await trio.to_thread.run_sync(receive_all, client) == b"held"

    assert ports.told == [
        "the forwarder of published ports has ended, and all connections through it; they are served again"
    ]


async def test_a_forwarder_that_nobody_needs_any_more_is_not_missed(ports: Ports, place: Place) -> None:
    port = free_port()
    with running_member(place, port) as member, serving(place.namespace, echo):
        await ports.publish(member)
        await ports.publish()
        [process] = forwarders(ports.run_dir)
        os.kill(process, signal.SIGKILL)
        async with ports.kept():
            await until(lambda: ports.loopback._forwarder is None)
            assert forwarders(ports.run_dir) == []

            await ports.publish(member)

            assert await asked(port) == b"?"
    assert ports.told == []


async def test_a_later_daemon_holds_the_ports_too(ports: Ports, place: Place) -> None:
    port, datagrams = free_port(), free_port(transport=Transport.UDP)
    later = Ports(ports.run_dir)
    with running_member(place, port, datagrams) as member, serving(place.namespace, echo):
        await ports.publish(member)
        ports.forget()
        await later.publish(member)
        await later.kill_forwarder()

        assert is_taken(port)
        async with later.kept():
            assert await asked(port) == b"?"
        await later.loopback.stop()

    assert not is_taken(port)


async def test_a_port_that_is_given_up_is_free(ports: Ports, place: Place) -> None:
    kept, gone = free_port(), free_port()
    with running_member(place, kept, gone) as before, running_member(place, kept) as after:
        await ports.publish(before)
        assert is_taken(gone)

        await ports.publish(after)

    assert not is_taken(gone)
    assert is_taken(kept)


async def test_a_taken_port_keeps_no_other_from_being_served(ports: Ports, place: Place) -> None:
    port, other = free_port(), free_port()
    with (
        socket.create_server((str(port.address), 0)) as server,
        running_member(place, other) as plain,
        running_member(place, port._replace(number=server.getsockname()[1]), instance="1" * 12) as unlucky,
        serving(place.namespace, echo),
    ):
        await ports.publish(plain)
        ports.members = [unlucky]

        with pytest.raises(Conflict, match="taken by another program"):
            await ports.publish(unlucky, plain)

        assert await asked(other) == b"?"


async def test_a_taken_port_is_no_error_of_who_publishes_at_the_same_time(ports: Ports, place: Place) -> None:
    port, other = free_port(), free_port()
    refused: list[Member] = []

    async def publish(member: Member) -> None:
        try:
            await ports.loopback.publish(member)
        except Conflict:
            refused.append(member)

    with (
        socket.create_server((str(port.address), 0)) as server,
        running_member(place, other, instance="1" * 12) as plain,
        running_member(place, port._replace(number=server.getsockname()[1]), instance="2" * 12) as unlucky,
    ):
        ports.members = [plain, unlucky]
        async with trio.open_nursery() as nursery:
            for member in (plain, unlucky) * 2:
                nursery.start_soon(publish, member)

    assert refused == [unlucky, unlucky]


async def test_an_instance_that_has_just_ended_keeps_no_other_from_its_ports(
    ports: Ports, place: Place
) -> None:
    port, other = free_port(), free_port()
    with running_member(place, port, instance="1" * 12) as ended:
        pass
    with running_member(place, other) as member, serving(place.namespace, echo):
        await ports.publish(member)

        await ports.publish(ended, member)

        assert await asked(other) == b"?"
