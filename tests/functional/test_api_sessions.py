"""Programs' streams over an upgraded connection of the API; the programs are played by the tests."""

import select
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from kwhost.core.api.client import Stream, instance_path
from kwhost.core.api.stream import (
    CONTENT_MAX,
    Frame,
    FrameDecoder,
    FrameType,
    decode_exit,
    encode_frame,
    encode_resize,
    encode_signal,
)
from kwhost.core.errors import ApiError, Conflict, LaunchError, UsageError
from kwhost.core.model.instance import TerminalSize
from kwhost.core.supervise.hosting import ExecRequest
from tests.functional.api_world import World, eventually, read_answer, request_bytes, serve_world
from tests.patience import SECONDS
from tests.unit.fake_hosting import FakeSession, make_definition

UPGRADE = ("Connection: Upgrade", "Upgrade: kwhost-stream")
EXEC = instance_path("web", "exec")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serve_world(tmp_path) as served:
        served.hosting.add(make_definition())
        yield served


async def converse(world: World, **body: Any) -> tuple[Stream, FakeSession]:
    body = {"command": ["sh"], "interactive": True} | body
    stream = await trio.to_thread.run_sync(lambda: world.client.upgrade(EXEC, body=body))
    return stream, world.hosting.sessions[-1]


async def receive(stream: Stream, until: FrameType = FrameType.EXIT) -> list[Frame]:
    """Frames up to the first of this type."""
    frames: list[Frame] = []
    with trio.fail_after(SECONDS):
        while not any(frame.type is until for frame in frames):
            frames += stream.receive()
            if not any(frame.type is until for frame in frames):
                await trio.lowlevel.wait_readable(stream.fileno())
    return frames


def output(frames: list[Frame], kind: FrameType) -> bytes:
    return b"".join(frame.content for frame in frames if frame.type is kind)


async def test_a_program_is_asked_for_and_its_streams_go_both_ways(world: World) -> None:
    stream, session = await converse(
        world,
        command=["sh", "-c", "x"],
        environment={"A": "b"},
        user="77",
        workdir="/tmp",
    )
    stream.send_input(b"question")
    assert await session.program_stdin.receive_some(100) == b"question"
    stream.send(encode_frame(FrameType.END))
    assert await session.program_stdin.receive_some(100) == b""
    await session.program_stdout.send_all(b"answer")
    await session.program_stderr.send_all(b"problem")
    await session.end(7)

    frames = await receive(stream)
    stream.close()
    assert frames[0].type is FrameType.STARTED
    assert output(frames, FrameType.STDOUT) == b"answer"
    assert output(frames, FrameType.STDERR) == b"problem"
    assert decode_exit(frames[-1].content) == 7
    request = ExecRequest(
        command=("sh", "-c", "x"), environment={"A": "b"}, user="77", workdir="/tmp", interactive=True
    )
    assert world.hosting.calls[-1][2] == request
    with trio.fail_after(SECONDS):
        await session.closed.wait()


async def test_a_terminal_has_a_size_signals_and_one_output(world: World) -> None:
    stream, session = await converse(world, terminal={"rows": 24, "columns": 80})
    stream.send(encode_resize(TerminalSize(rows=50, columns=132)))
    stream.send(encode_signal(2))
    stream.send(encode_frame(FrameType.END))
    await eventually(lambda: session.signals == [2])
    assert session.sizes == [TerminalSize(rows=50, columns=132)]
    # The end of input does not hang up the terminal: it is the output too.
    await session.program_stdout.send_all(b"still here")
    await session.end(0)

    assert output(await receive(stream), FrameType.STDOUT) == b"still here"
    stream.close()


async def test_half_a_connection_is_enough_for_the_output(world: World) -> None:
    stream = await world.connect()
    async with stream:
        body = b'{"command": ["cat"], "interactive": true}'
        await stream.send_all(
            request_bytes("POST", EXEC, body, *UPGRADE) + encode_frame(FrameType.STDIN, b"all of it")
        )
        await stream.send_eof()
        assert (await read_answer(stream)).status == 101
        [session] = world.hosting.sessions
        assert await session.program_stdin.receive_some(100) == b"all of it"
        assert await session.program_stdin.receive_some(100) == b""
        await session.program_stdout.send_all(b"all of it")
        await session.end(0)
        decoder = FrameDecoder()
        frames = []
        while data := await stream.receive_some(1000):
            frames += decoder.feed(data)
    assert [frame.type for frame in frames] == [FrameType.STARTED, FrameType.STDOUT, FrameType.EXIT]


async def test_a_client_that_goes_lets_go_of_the_program(world: World) -> None:
    stream, session = await converse(world)
    stream.close()

    with trio.fail_after(SECONDS):
        await session.closed.wait()
    assert world.reports == []


async def test_a_client_that_goes_is_noticed_while_the_program_reads_nothing(world: World) -> None:
    stream, session = await converse(world)

    async def never(data: bytes) -> None:
        await trio.sleep_forever()

    session.stdin.send_stream.send_all = never  # type: ignore[method-assign, assignment]
    for _ in range(64):
        stream.send_input(b"x" * CONTENT_MAX)
    assert stream.pending
    stream.close()

    with trio.fail_after(SECONDS):
        await session.closed.wait()


async def test_much_data_passes_both_ways_at_once(world: World) -> None:
    stream, session = await converse(world, command=["cat"])
    data = bytes(range(256)) * 2048  # what a session gives at least of what is left at the end: 1 MiB

    async def cat() -> None:
        while piece := await session.program_stdin.receive_some(10_000):
            await session.program_stdout.send_all(piece)
        await session.end(0)

    def drive() -> bytes:
        stream.send_input(data)
        stream.send(encode_frame(FrameType.END))
        frames: list[Frame] = stream.receive()
        while not frames or frames[-1].type is not FrameType.EXIT:
            select.select([stream], [stream] if stream.pending else [], [], SECONDS)
            stream.flush()
            frames += stream.receive()
        return output(frames, FrameType.STDOUT)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cat)
        assert await trio.to_thread.run_sync(drive) == data
    stream.close()


async def test_what_a_program_leaves_behind_does_not_hold_the_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kwhost.core.api.pump._SILENT_SECONDS", 0.01)
    stream, session = await converse(world)
    await session.program_stdout.send_all(b"last words")
    session.exit(3)

    frames = await receive(stream)
    stream.close()
    assert output(frames, FrameType.STDOUT) == b"last words"
    assert decode_exit(frames[-1].content) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\x00\x00\x00\x00",
        b"\x00\xff\xff\xff\xff",
        encode_frame(FrameType.EXIT, b"1234"),
        encode_frame(FrameType.RESIZE, b"x"),
        encode_frame(FrameType.SIGNAL, b"\x00"),
    ],
)
async def test_frames_that_make_no_sense_end_the_session_with_an_error(world: World, data: bytes) -> None:
    stream, session = await converse(world)
    stream.send(data)

    with pytest.raises(ApiError, match="frame"):
        await receive(stream)
    stream.close()
    with trio.fail_after(SECONDS):
        await session.closed.wait()
    assert (await world.ask("GET", "/v1/version"))["api"] == "v1"


async def test_an_error_after_the_start_reaches_the_client_behind_the_output(world: World) -> None:
    stream, session = await converse(world)

    async def fail(number: int) -> None:
        raise LaunchError("it broke", 126)

    session.signal = fail  # type: ignore[method-assign]
    await session.program_stdout.send_all(b"before")
    frames = await receive(stream, FrameType.STDOUT)
    stream.send(encode_signal(1))
    with pytest.raises(LaunchError, match="it broke") as caught:
        await receive(stream)
    stream.close()
    assert output(frames, FrameType.STDOUT) == b"before"
    assert caught.value.exit_status == 126


async def test_a_start_that_fails_is_an_ordinary_error(world: World) -> None:
    world.hosting.failure = LaunchError("nosuch: not found", 127)
    with pytest.raises(LaunchError, match="nosuch") as caught:
        await converse(world, command=["nosuch"])
    assert caught.value.exit_status == 127

    world.hosting.failure = Conflict("web does not run")
    with pytest.raises(Conflict):
        await trio.to_thread.run_sync(lambda: world.client.upgrade(instance_path("web", "attach")))


@pytest.mark.parametrize(
    "body",
    [
        {"command": []},
        {"command": ["sh"], "terminal": {"rows": 0, "columns": 80}},
        {"command": ["sh"], "terminal": {"rows": 24}},
        {"command": ["sh"], "envrionment": {}},
        {"command": ["sh"], "environment": {"": "x"}},
    ],
)
async def test_a_program_that_makes_no_sense_is_refused(world: World, body: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        await trio.to_thread.run_sync(lambda: world.client.upgrade(EXEC, body=body))
    assert world.hosting.calls == []


async def test_without_the_upgrade_the_answer_says_what_is_missing(world: World) -> None:
    answer = await world.raw(request_bytes("POST", EXEC, b'{"command": ["sh"]}'))

    assert (answer.status, answer.headers["upgrade"]) == (426, "kwhost-stream")
    assert world.hosting.calls == []


@pytest.mark.parametrize("first", ["HTTP/1.0", "HTTP/1.1\r\nHost: x\r\nConnection: close"])
async def test_an_upgrade_that_is_asked_for_oddly_is_no_bug(world: World, first: str) -> None:
    body = b'{"command": ["sh"]}'
    head = f"POST {EXEC} {first}\r\nUpgrade: kwhost-stream\r\nContent-Length: {len(body)}\r\n\r\n"

    answer = await world.raw(head.encode() + body)

    assert answer.status == 101
    with trio.fail_after(SECONDS):
        await world.hosting.sessions[0].closed.wait()
    assert world.reports == []


async def test_attaching_may_start_the_instance_and_is_in_the_audit_at_once(world: World) -> None:
    stream = await trio.to_thread.run_sync(
        lambda: world.client.upgrade(instance_path("web", "attach"), {"stdin": True, "start": True})
    )
    assert world.hosting.calls[-1][2:] == (True, True)
    await receive(stream, FrameType.STARTED)
    assert [(entry.target, entry.outcome) for entry in world.audit] == [("acme/web", "ok")]
    stream.close()
