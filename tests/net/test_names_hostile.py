"""Messages that nobody honest sends end nothing, and get nothing out of another tenant."""

import socket
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.net.names import Asking, in_thread, resolving
from tests.net.world import World
from tests.unit.hostile_messages import hostile_messages

pytestmark = [pytest.mark.net, pytest.mark.root]

FEW = settings(
    max_examples=400,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
WAIT = 0.001


def answers_to_all(asking: Asking) -> list[bytes]:
    """What is answered to hostile messages by UDP and, a few, by TCP."""
    answers: list[bytes] = []

    with asking.socket() as datagrams:
        datagrams.settimeout(WAIT)

        @FEW
        @given(hostile_messages())
        def send(message: bytes) -> None:
            with suppress(OSError):
                datagrams.send(message)
            with suppress(TimeoutError):
                answers.append(datagrams.recv(4096))

        send()

    @settings(FEW, max_examples=40)
    @given(hostile_messages())
    def send_by_tcp(message: bytes) -> None:
        with asking.socket(socket.SOCK_STREAM) as stream, suppress(OSError):
            stream.sendall(len(message).to_bytes(2) + message)
            stream.shutdown(socket.SHUT_WR)
            while data := stream.recv(4096):
                answers.append(data)

    send_by_tcp()
    return answers


async def test_hostile_questions_end_nothing_and_tell_nothing_of_another_tenant(
    world: World, tmp_path: Path
) -> None:
    hostile, honest = Asking(world, world.of(1, 0)), Asking(world, world.of(0, 0))
    secrets = [world.of(0, number) for number in range(3)]

    async with resolving(world, tmp_path) as resolver:
        pid = await resolver.process()

        answers = await in_thread(answers_to_all, hostile)

        assert await resolver.process() == pid
        assert await in_thread(hostile.told, "two") == {str(world.of(1, 1).address4)}
        assert await in_thread(honest.told, "two") == {str(world.of(0, 1).address4)}
    assert answers
    for one in secrets:
        assert not [answer for answer in answers if one.address4.packed in answer]
        assert not [answer for answer in answers if one.address6.packed in answer]
