"""The API and clients that are wrong, slow or too many: one clear error for them, nothing for the others."""

import grp
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from kwhost.core.api.auth import GROUP, Caller, identify
from kwhost.core.api.client import Client
from kwhost.core.api.http import BODY_MAX, HEADER_MAX, Deadlines
from kwhost.core.api.server import Bounds, listen_api
from kwhost.core.errors import ApiError, HostError
from tests.functional.api_world import (
    ALICE,
    ROOT,
    STRANGER,
    World,
    eventually,
    read_answer,
    request_bytes,
    serve_world,
)
from tests.patience import SECONDS
from tests.unit.fake_hosting import make_definition


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serve_world(tmp_path) as served:
        yield served


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /v1/version HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET http://elsewhere/v1/version HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/version HTTP/1.1\r\nHost: x\r\nBad\x00: y\r\n\r\n", 400),
        (b"GET /v1/version HTTP/9.9\r\nHost: x\r\n\r\n", 505),
        (b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
        (b"GET /v1/version HTTP/1.1\r\nHost: x\r\nX: " + b"x" * HEADER_MAX + b"\r\n\r\n", 431),
        (b"GET /v1/version HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9 * HEADER_MAX, 431),
        (b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /v1/instances/ HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /v1/version?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/instances?all=1&all=0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/instances?all=perhaps HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/audit?limit=-1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/audit?limit=1e9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /v1/events?after=" + b"9" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /v1/shutdown HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /v1/shutdown?instances=perhaps HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
)
async def test_requests_that_are_wrong_get_one_clear_error(world: World, data: bytes, status: int) -> None:
    answer = await world.raw(data)

    assert answer.status == status
    assert answer.error
    assert "\n" not in answer.error
    assert world.hosting.calls == []
    assert world.reports == []


async def test_a_wrong_method_says_which_there_are(world: World) -> None:
    answer = await world.raw(request_bytes("PUT", "/v1/instances"))

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "missing required field"),
        (b"[]", "Expected `object`"),
        (b"{", "is not JSON"),
        (b'{"tenant": "acme"}x', "is not JSON"),
        (b'{"tenant": "\xff"}', "not UTF-8"),
        (b'{"tenant": "acme", "tenant": "rival"}', "'tenant' stands twice"),
        (b'{"tenant": "acme", "nmae": "web"}', "unknown field nmae; did you mean name?"),
        (b'{"limits": {"memroy": 1}}', "unknown field limits.memroy; did you mean memory?"),
        (b'{"volumes": [{"from": "/x"}]}', r"unknown field volumes\[0\].from"),
        (b'{"limits": {"memory": ' + b"9" * 4400 + b"}}", "4400 digits"),
        (b'{"limits": {"memory": 9223372036854775808}}', "memory"),
        (b'{"limits": {"cpus": 1e999}}', "too large"),
        (b'{"limits": {"cpus": NaN}}', "no number"),
        (b'{"limits": {"cpus": -1}}', "limits.cpus must be more than 0"),
        (b'{"limits": {"memory": "1G"}}', "limits.memory"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"command": []}', "must name a program"),
        (b'{"command": ["a\\u0000b"]}', "NUL"),
        (b'{"command": ["\\ud800"]}', "half a character"),
        (b'{"name": "../x"}', "no name for an instance"),
        (b'{"tenant": "A B"}', "no name for a tenant"),
        (b'{"environment": {"A=B": "c"}}', "no name for a variable"),
        (b'{"workdir": "here"}', "workdir must be an absolute path"),
        (b'{"engine": "magic"}', "engine"),
        (
            b'{"volumes": [{"source": "x/y", "target": "/y"}]}',
            r"volumes\[0\].source must be an absolute path",
        ),
        (b'{"volumes": [{"source": "/x", "target": "/."}]}', "instance's root"),
        (b'{"healthcheck": {"kind": "tcp", "target": []}}', "healthcheck.target"),
    ],
)
async def test_bodies_that_are_wrong_get_one_clear_error(world: World, body: bytes, message: str) -> None:
    if body.startswith(b'{"') and body.endswith(b"}") and b'"tenant": "acme"' not in body:
        good = {"tenant": b'"acme"', "name": b'"web"', "command": b'["sleep"]'}
        missing = [f'"{key}": '.encode() + good[key] for key in good if f'{{"{key}"'.encode() not in body]
        body = body[:-1] + b", " + b", ".join(missing) + b"}"

    answer = await world.raw(request_bytes("POST", "/v1/instances", body))

    assert answer.status == 400
    assert re.search(message, answer.error)
    assert world.hosting.calls == []


async def test_a_body_is_bounded_whether_its_length_is_told_or_not(world: World) -> None:
    told = await world.raw(request_bytes("POST", "/v1/instances", b" " * (BODY_MAX + 1)))
    head = b"POST /v1/instances HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    chunked = await world.raw(head, *[chunk] * (BODY_MAX // 0x10000), b"1\r\n \r\n0\r\n\r\n")

    assert (told.status, chunked.status) == (413, 413)


async def test_the_clients_own_oversized_request_is_explained(world: World) -> None:
    with pytest.raises(ApiError, match="larger than 1048576 bytes"):
        await world.ask("POST", "/v1/instances", body={"name": "x" * 8 * BODY_MAX})


async def test_bodies_where_there_are_none_are_refused(world: World) -> None:
    assert (await world.raw(request_bytes("POST", "/v1/reload", b'{"x": 1}'))).status == 400
    assert (await world.raw(request_bytes("POST", "/v1/reload", b"{}"))).status == 200


async def test_requests_one_after_another_are_answered_in_order(world: World) -> None:
    stream = await world.connect()
    async with stream:
        await stream.send_all(
            request_bytes("GET", "/v1/version")
            + request_bytes("GET", "/v1/nothing")
            + request_bytes("POST", "/v1/instances", b"{}")
            + request_bytes("GET", "/v1/instances")
        )
        assert [(await read_answer(stream)).status for _ in range(4)] == [200, 404, 400, 200]


async def test_old_http_is_answered_and_closed(world: World) -> None:
    stream = await world.connect()
    async with stream:
        await stream.send_all(b"GET /v1/version HTTP/1.0\r\n\r\n")
        assert (await read_answer(stream)).json["api"] == "v1"
        assert await stream.receive_some(1) == b""


async def test_head_has_the_header_alone(world: World) -> None:
    stream = await world.connect()
    async with stream:
        for path in ("/v1/version", "/v1/events?follow=1", "/v1/version"):
            await stream.send_all(request_bytes("HEAD", path))
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                data += await stream.receive_some(1)
            assert data.startswith(b"HTTP/1.1 200")


async def test_a_client_that_waits_to_be_told_to_go_on_is(world: World) -> None:
    stream = await world.connect()
    async with stream:
        body = b'{"tenant": "acme", "name": "web", "command": ["true"]}'
        head = request_bytes("POST", "/v1/instances", body, "Expect: 100-continue")[: -len(body)]
        await stream.send_all(head)
        assert (await read_answer(stream)).status == 100
        await stream.send_all(body)
        assert (await read_answer(stream)).status == 201

        world.caller = STRANGER
        refused = await world.connect()
        async with refused:
            await refused.send_all(head)
            assert (await read_answer(refused)).status == 403


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /v1/ver", 408),
        (request_bytes("POST", "/v1/reload", b"{}")[:-1], 408),
        (b"", None),
    ],
)
async def test_a_slow_client_is_not_waited_for(tmp_path: Path, data: bytes, status: int | None) -> None:
    async with serve_world(tmp_path, deadlines=Deadlines(header=0.05, body=0.05, idle=0.05)) as world:
        stream = await world.connect()
        async with stream:
            await stream.send_all(data)
            with trio.fail_after(SECONDS):
                if status:
                    assert (await read_answer(stream)).status == status
                assert await stream.receive_some(1) == b""


async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    async with serve_world(tmp_path, deadlines=Deadlines(idle=0.05)) as world:
        stream = await world.connect()
        async with stream:
            await stream.send_all(request_bytes("GET", "/v1/version"))
            assert (await read_answer(stream)).status == 200
            with trio.fail_after(SECONDS):
                assert await stream.receive_some(1) == b""


async def test_a_client_that_takes_no_answer_is_cut_off(tmp_path: Path) -> None:
    async with serve_world(tmp_path, deadlines=Deadlines(answer=0.05)) as world:
        for index in range(2000):
            world.hosting.add(make_definition(name=f"i{index}"))
        stream = await world.connect()
        async with stream:
            await stream.send_all(request_bytes("GET", "/v1/instances"))
            with trio.fail_after(SECONDS):
                await eventually(lambda: world.server.connections == 1)
                await eventually(lambda: world.server.connections == 0)


async def test_256_connections_are_served_and_the_next_is_told_why_not(world: World) -> None:
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(256):
            stream = await stack.enter_async_context(await world.connect())
            await stream.send_all(request_bytes("GET", "/v1/version"))
            streams.append(stream)
        for stream in streams:
            assert (await read_answer(stream)).status == 200

        refused = await world.raw(b"")
        assert (refused.status, refused.json["error"]["kind"]) == (503, "busy")
        assert "256" in refused.error
        with pytest.raises(ApiError, match="256 connections"):
            await world.ask("GET", "/v1/version")

        await streams[0].send_all(request_bytes("GET", "/v1/instances"))
        assert (await read_answer(streams[0])).status == 200
    await eventually(lambda: world.server.connections == 0)
    assert (await world.raw(request_bytes("GET", "/v1/version"))).status == 200


async def test_a_user_has_a_share_of_the_connections(world: World) -> None:
    world.caller = ALICE
    async with AsyncExitStack() as stack:
        for _ in range(32):
            stream = await stack.enter_async_context(await world.connect())
            await stream.send_all(request_bytes("GET", "/v1/version"))
            assert (await read_answer(stream)).status == 200

        refused = await world.raw(b"")
        assert (refused.status, "32 connections" in refused.error) == (429, True)
        world.caller = ROOT
        assert (await world.raw(request_bytes("GET", "/v1/version"))).status == 200


async def test_the_last_connections_are_kept_for_operators(tmp_path: Path) -> None:
    async with serve_world(tmp_path, bounds=Bounds(connections=4, per_user=32, reserved=2)) as world:
        world.caller = ALICE
        async with AsyncExitStack() as stack:
            for _ in range(2):
                stream = await stack.enter_async_context(await world.connect())
                await stream.send_all(request_bytes("GET", "/v1/version"))
                assert (await read_answer(stream)).status == 200
            assert (await world.raw(b"")).status == 503
            world.caller = ROOT
            assert (await world.raw(request_bytes("GET", "/v1/version"))).status == 200


async def test_what_an_earlier_daemon_left_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    listen_api(path).close()
    listener = listen_api(path)
    assert path.stat().st_mode & 0o777 == 0o666
    listener.close()

    path.unlink()
    path.write_text("precious")
    with pytest.raises(HostError, match="cannot listen on"):
        listen_api(path)
    assert path.read_text() == "precious"
    with pytest.raises(HostError, match="too long"):
        listen_api(tmp_path / ("x" * 120))


def test_callers_are_known_by_their_credentials() -> None:
    ours, _theirs = socket.socketpair()
    with ours, _theirs:
        caller = identify(ours)

    assert (caller.pid, caller.uid, caller.operator) == (os.getpid(), os.getuid(), True)


CONNECT = """
import os, socket, sys
path, uid, *groups = sys.argv[1:]
if int(uid):
    os.setgroups([int(group) for group in groups])
    os.setgid(int(uid))
    os.setuid(int(uid))
sock = socket.socket(socket.AF_UNIX)
sock.connect(path)
sock.recv(1)
"""


def identify_child(tmp_path: Path, *prefix: str, uid: int = 0, groups: Sequence[int] = ()) -> Caller:
    """Who a process with these ids is, started by the command `prefix`."""
    listener = listen_api(tmp_path / "api.sock")
    listener.settimeout(SECONDS)
    tmp_path.chmod(0o755)
    # The path is short for who may not pass the directories above.
    command = [*prefix, sys.executable, "-c", CONNECT, "api.sock", str(uid), *map(str, groups)]
    with listener, subprocess.Popen(command, cwd=tmp_path) as child:
        peer, _ = listener.accept()
        with peer:
            caller = identify(peer)
        assert child.wait(SECONDS) == 0
    return caller


@pytest.mark.root
def test_other_users_are_no_operators(tmp_path: Path) -> None:
    caller = identify_child(tmp_path, uid=65533)

    assert (caller.uid, caller.user, caller.operator, caller.local) == (65533, "65533", False, True)


@pytest.mark.root
@pytest.mark.parametrize("count", [10, 1000])
def test_members_of_the_group_are_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    group = grp.struct_group((GROUP, "x", 65_000, []))
    monkeypatch.setattr("grp.getgrnam", lambda name: group)
    # With more groups than the kernel's answer has room for, the user database is asked.
    monkeypatch.setattr("os.getgrouplist", lambda user, gid: [gid, 65_000])

    caller = identify_child(tmp_path, uid=65533, groups=[65_000, *range(40_000, 40_000 + count)])

    assert (caller.operator, caller.local) == (True, True)


@pytest.mark.root
def test_root_of_another_user_namespace_is_no_operator(tmp_path: Path) -> None:
    caller = identify_child(tmp_path, "unshare", "--user", "--map-root-user")

    assert (caller.uid, caller.operator, caller.local) == (0, False, False)


def test_an_unreachable_socket_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "api.sock").write_text("")
    for path in (tmp_path / "api.sock", tmp_path / "api.sock" / "x", tmp_path / ("x" * 200)):
        with pytest.raises(ApiError) as caught:
            Client(path).request("GET", "/v1/version")
        assert "\n" not in str(caught.value)
