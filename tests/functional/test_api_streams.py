"""Streams of the API: events, logs, statistics, archives. Hosting is in memory."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from kwhost.core.api.client import ServerEvent, instance_path
from kwhost.core.api.http import HttpConnection
from kwhost.core.api.line_cap import LineCap
from kwhost.core.errors import ApiError, Conflict, UsageError
from tests.functional.api_world import (
    ALICE,
    World,
    read_answer,
    read_until,
    request_bytes,
    serve_world,
)
from tests.patience import SECONDS
from tests.unit.fake_hosting import ACME, RIVAL, make_definition


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serve_world(tmp_path) as served:
        yield served


async def read_events(world: World, path: str, count: int, **query: Any) -> list[ServerEvent]:
    def read() -> list[ServerEvent]:
        return [event for _, event in zip(range(count), world.client.events(path, query), strict=False)]

    return await trio.to_thread.run_sync(read)


async def test_the_journal_is_read_and_ends(world: World) -> None:
    for text in ("one", "two"):
        world.hosting.happen(ACME, text)

    events = await read_events(world, "/v1/events", 10)

    assert [(event.name, event.data["text"], event.id) for event in events] == [
        ("event", "one", "1"),
        ("event", "two", "2"),
    ]


async def test_following_goes_on_with_what_comes(world: World) -> None:
    world.hosting.happen(ACME, "old")
    stream = await world.connect()
    async with stream:
        await stream.send_all(request_bytes("GET", "/v1/events?follow=1"))
        assert (await read_answer(stream)).status == 200
        await world.hosting.waiting.wait()
        world.hosting.happen(ACME, "new")
        data = await read_until(stream, b"new")
    assert b"old" not in data


async def test_a_user_sees_only_their_tenants_events(world: World) -> None:
    for tenant in (RIVAL, None, ACME):
        world.hosting.happen(tenant, f"of {tenant}")
    world.caller = ALICE

    events = await read_events(world, "/v1/events", 10)

    assert [event.data["text"] for event in events] == ["of acme"]


async def test_the_newest_events_of_an_instance_come_first_and_then_what_follows(world: World) -> None:
    number = world.hosting.add(make_definition())
    for text in ("one", "two", "three"):
        world.hosting.happen(ACME, text, number)
        world.hosting.happen(ACME, f"other {text}")
    stream = await world.connect()
    async with stream:
        await stream.send_all(request_bytes("GET", "/v1/events?follow=1&tail=2&instance=acme%2Fweb"))
        assert (await read_answer(stream)).status == 200
        await world.hosting.waiting.wait()
        world.hosting.happen(ACME, "other four")
        world.hosting.happen(ACME, "four", number)
        data = await read_until(stream, b"four")
    assert b"two" in data
    assert b"three" in data
    assert b"one" not in data
    assert b"other" not in data


@pytest.mark.parametrize("query", ["tail=-1", "tail=2&after=3", "instance=nobody"])
async def test_a_wrong_wish_for_events_is_an_error_before_the_stream(world: World, query: str) -> None:
    stream = await world.connect()
    async with stream:
        await stream.send_all(request_bytes("GET", f"/v1/events?{query}"))
        assert (await read_answer(stream)).status in (400, 404)


async def test_a_user_cannot_ask_for_the_events_of_anothers_instance(world: World) -> None:
    world.hosting.add(make_definition(tenant=RIVAL))
    world.caller = ALICE
    stream = await world.connect()
    async with stream:
        await stream.send_all(request_bytes("GET", "/v1/events?instance=web"))
        assert (await read_answer(stream)).status == 404


async def test_events_that_the_journal_lost_are_counted(world: World) -> None:
    for text in "abcde":
        world.hosting.happen(ACME, text)
    del world.hosting.journal[:3]

    events = await read_events(world, "/v1/events", 10, after=1)

    assert [event.name for event in events] == ["left-out", "event", "event"]
    assert events[0].data == {"count": 2}


async def test_a_log_is_read_and_followed_to_its_end(world: World) -> None:
    number = world.hosting.add(make_definition())
    world.hosting.write_log(number, "one", "two")
    path = instance_path("web", "logs")
    lines = await read_events(world, path, 10, tail=1)
    assert [(line.name, line.data["text"], line.data["stream"]) for line in lines] == [
        ("line", "two", "stdout")
    ]

    followed: list[ServerEvent] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            followed.extend(await read_events(world, path, 10, follow=True))

        nursery.start_soon(follow)
        await world.hosting.waiting.wait()
        world.hosting.write_log(number, "three \udcff")
        world.hosting.log_over = True
        world.hosting.change()
    assert [line.data["text"] for line in followed] == ["one", "two", "three \udcff"]


async def test_a_log_that_grows_too_fast_is_thinned_out_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("kwhost.core.api.feeds.LineCap", lambda rate, _: LineCap(rate, lambda: now[0]))
    number = world.hosting.add(make_definition())
    world.hosting.write_log(number, *(f"old {line}" for line in range(50)))
    followed: list[ServerEvent] = []

    async def follow() -> None:
        followed.extend(await read_events(world, instance_path("web", "logs"), 500, follow=True, rate=10))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await world.hosting.waiting.wait()
        now[0] += 1.0  # the first second, in which nothing is left out, is over
        world.hosting.write_log(number, *(f"new {line}" for line in range(100)))
        world.hosting.log_over = True
        world.hosting.change()

    texts = [event.data["text"] for event in followed if event.name == "line"]
    assert texts == [f"old {line}" for line in range(50)] + [f"new {line}" for line in range(10)]
    assert sum(event.data["count"] for event in followed if event.name == "left-out") == 90


async def test_no_rate_is_too_small_a_rate(world: World) -> None:
    world.hosting.add(make_definition())
    with pytest.raises(UsageError, match="rate"):
        await read_events(world, instance_path("web", "logs"), 1, rate=0)


async def test_a_log_is_read_on_behind_a_line(world: World) -> None:
    number = world.hosting.add(make_definition())
    world.hosting.write_log(number, "one", "one", "one")
    path = instance_path("web", "logs")
    lines = await read_events(world, path, 10)

    assert len({line.id for line in lines}) == 3
    assert await read_events(world, path, 10, after=lines[1].id) == lines[2:]


async def test_a_line_that_the_log_has_no_more_is_told(world: World) -> None:
    number = world.hosting.add(make_definition())
    world.hosting.write_log(number, "one")

    events = await read_events(world, instance_path("web", "logs"), 10, after="1-1")

    assert [(event.name, event.data.get("count"), event.data.get("text")) for event in events] == [
        ("left-out", None, None),
        ("line", None, "one"),
    ]


async def test_what_is_no_place_of_a_log_is_an_error(world: World) -> None:
    world.hosting.add(make_definition())

    with pytest.raises(UsageError, match="no place"):
        await read_events(world, instance_path("web", "logs"), 1, after="last")


async def test_an_instance_that_wrote_nothing_has_an_empty_log(world: World) -> None:
    world.hosting.add(make_definition())

    assert await read_events(world, instance_path("web", "logs"), 10) == []


async def test_what_is_no_line_of_a_log_is_counted(world: World) -> None:
    number = world.hosting.add(make_definition())
    with (world.hosting.log_directory(number) / "log").open("wb") as log:
        log.write(b"garbage\nmore of it\n2026-11-22T00:13:55.123456789Z stderr F fine\n")

    events = await read_events(world, instance_path("web", "logs"), 10)

    assert [(event.name, event.data.get("text")) for event in events] == [
        ("line", "fine"),
        ("left-out", None),
    ]
    assert events[1].data == {"count": 2}


async def test_a_slow_reader_costs_no_memory_and_is_told_what_it_missed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    interval = 0.01
    monkeypatch.setattr("kwhost.core.api.feeds._STATS_SECONDS", interval)
    for index in range(400):
        world.hosting.add(make_definition(name=f"i{index}"))
    made = 0
    send = HttpConnection.piece

    async def noted(connection: HttpConnection, data: bytes) -> None:
        nonlocal made
        made += 1
        await send(connection, data)

    async def no_more_are_made() -> None:
        """Although there was time for as many again and again, however busy the machine is."""
        before, times = 0, 0
        while times < 20:
            await trio.sleep(interval)
            times = times + 1 if made == before > 0 else 0
            before = made

    monkeypatch.setattr(HttpConnection, "piece", noted)
    stream = await world.connect()
    async with stream:
        await stream.send_all(request_bytes("GET", "/v1/stats?follow=1"))
        with trio.fail_after(SECONDS):
            await no_more_are_made()
        found = made
        data = await read_until(stream, b"event: left-out\ndata: ")

    assert found < 20
    assert b"event: stats" in data


async def test_an_error_within_a_stream_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.hosting.happen(ACME, "one")

    async def fail(after: int) -> None:
        raise Conflict("the journal is gone")

    monkeypatch.setattr(world.hosting, "wait_event", fail)
    with pytest.raises(Conflict, match="journal is gone"):
        await read_events(world, "/v1/events", 10, follow=True, after=0)


async def test_archives_go_both_ways(world: World) -> None:
    number = world.hosting.add(make_definition())
    pieces = [bytes([index]) * 50_000 for index in range(40)]
    path = instance_path("web", "files")
    await trio.to_thread.run_sync(lambda: world.client.upload(path, {"path": "/in"}, iter(pieces)))
    assert b"".join(world.hosting.archive) == b"".join(pieces)
    assert world.hosting.calls[-1] == ("archive-put", number, "/in")

    got = await trio.to_thread.run_sync(lambda: b"".join(world.client.download(path, {"path": "/out"})))
    assert got == b"".join(pieces)


async def test_an_archive_that_breaks_off_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.hosting.add(make_definition())

    async def broken(id: str, path: str) -> AsyncIterator[bytes]:  # noqa: A002 - the protocol's name
        yield b"beginning"
        raise Conflict("it ended")

    monkeypatch.setattr(world.hosting, "archive_get", broken)
    with pytest.raises(ApiError, match="hung up"):
        await trio.to_thread.run_sync(
            lambda: list(world.client.download(instance_path("web", "files"), {"path": "/"}))
        )
