"""The API over its socket, with hosting in memory: what its callers can rely on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from kwhost.core.api.auth import Caller
from kwhost.core.api.client import Client, instance_path
from kwhost.core.api.routes import ROUTES, Access, Route
from kwhost.core.errors import (
    Ambiguous,
    ApiError,
    Conflict,
    KwhostError,
    LaunchError,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    StoreError,
    UsageError,
)
from kwhost.core.model.network import PublishedPort
from kwhost.core.model.status import InstanceState
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
from tests.unit.fake_hosting import ACME, make_definition

BODY = {"tenant": "acme", "name": "web", "command": ["sleep", "60"]}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serve_world(tmp_path) as served:
        yield served


async def test_the_version_is_for_everybody(world: World) -> None:
    world.caller = STRANGER

    assert (await world.ask("GET", "/v1/version"))["api"] == "v1"


async def test_a_stranger_may_do_nothing_else(world: World) -> None:
    world.caller = STRANGER
    for route in ROUTES:
        if route.access is not Access.ANYBODY:
            path = route.path.replace("{ref}", "web").replace("{tenant}", "acme")
            answer = await world.raw(request_bytes(route.method, path))
            assert (route.name, answer.status) == (route.name, 403)
    assert (await world.raw(request_bytes("GET", "/nothing"))).status == 403
    assert world.hosting.calls == []


async def test_a_user_sees_their_tenant_alone(world: World) -> None:
    world.hosting.add(make_definition("acme", "web"))
    world.hosting.add(make_definition("rival", "secret"))
    world.caller = ALICE

    assert [one["name"] for one in await world.ask("GET", "/v1/instances")] == ["web"]
    assert [one["name"] for one in await world.ask("GET", "/v1/tenants")] == ["acme"]
    info = await world.ask("GET", "/v1/info")
    assert (info["tenants"], info["instances"], info["running"]) == (1, 1, 1)
    with pytest.raises(NotFound):
        await world.ask("GET", "/v1/tenants/rival")
    with pytest.raises(NotFound):
        await world.ask("GET", "/v1/instances", query={"tenant": "rival"})


@pytest.mark.parametrize("route", [route for route in ROUTES if "{ref}" in route.path], ids=lambda r: r.name)
async def test_another_tenants_instance_does_not_exist(world: World, route: Route) -> None:
    secret = world.hosting.add(make_definition("rival", "secret"))
    world.caller = ALICE
    upgrade = ("Connection: Upgrade", "Upgrade: kwhost-stream")
    bodies = {"exec": b'{"command": ["sh"]}', "publish": b'{"port": 8080, "target": 80}'}
    body = bodies.get(route.name, b"")
    queries = {"instance-explain": "?call=mkdir", "unpublish": "?port=8080:80"}
    query = queries.get(route.name, "")
    query = "?path=/" if route.name.startswith("archive") else query
    answers = [
        await world.raw(request_bytes(route.method, route.path.replace("{ref}", ref) + query, body, *upgrade))
        for ref in ("secret", secret, "rival%2Fsecret", "nothing")
    ]

    expected = 404 if route.access is Access.USER else 403
    assert {answer.status for answer in answers} == {expected}
    assert answers[0].error.replace("secret", "X") == answers[3].error.replace("nothing", "X")
    assert world.hosting.calls == []


async def test_only_operators_reload_shut_down_and_read_the_audit(world: World) -> None:
    world.caller = ALICE
    for method, path in (
        ("POST", "/v1/reload"),
        ("POST", "/v1/prune"),
        ("POST", "/v1/shutdown?instances=keep"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/plugins"),
    ):
        assert (await world.raw(request_bytes(method, path))).status == 403
    assert world.hosting.calls == []


async def test_a_user_who_left_the_tenant_sees_nothing_more(world: World) -> None:
    world.caller = ALICE
    stream = await world.connect()
    async with stream:
        await stream.send_all(request_bytes("GET", "/v1/instances"))
        assert (await read_answer(stream)).status == 200
        del world.hosting.tenant_table[ACME]
        await stream.send_all(request_bytes("GET", "/v1/instances"))
        assert (await read_answer(stream)).status == 403


async def test_an_instance_is_created_as_asked_for(world: World) -> None:
    body = BODY | {
        "environment": {"MODE": "fast"},
        "limits": {"memory": 1 << 20},
        "volumes": [{"source": "/srv", "target": "/srv", "read_only": True}],
        "restart": "on-failure",
    }
    status = await world.ask("POST", "/v1/instances", query={"start": True}, body=body)

    [(_, _, start, confined)] = world.hosting.calls
    assert (status["name"], start, confined) == ("web", True, False)
    described = await world.ask("GET", instance_path("acme/web", "definition"))
    assert all(described[key] == body[key] or key == "limits" for key in body)
    assert described["limits"]["memory"] == 1 << 20


async def test_a_user_creates_in_their_tenant_alone_and_is_confined(world: World) -> None:
    world.caller = ALICE
    await world.ask("POST", "/v1/instances", body=BODY)
    with pytest.raises(NotFound, match="no tenant rival"):
        await world.ask("POST", "/v1/instances", body=BODY | {"tenant": "rival"})

    [(_, _, _, confined)] = world.hosting.calls
    assert confined is True


async def test_a_user_binds_only_what_the_tenant_may(world: World, tmp_path: Path) -> None:
    world.caller = ALICE
    srv = tmp_path / "srv"
    (srv / "data").mkdir()
    (srv / "out").symlink_to("/etc")
    for source in ("/etc", f"{srv}/../run", f"{srv}/out", f"{srv}-other", f"{srv}/out/nothing", "/"):
        volume = {"source": source, "target": "/data"}
        with pytest.raises(PermissionDenied, match="may not bind"):
            await world.ask("POST", "/v1/instances", body=BODY | {"volumes": [volume]})
        with pytest.raises(PermissionDenied, match="may not bind"):
            await world.ask("POST", "/v1/instances", body=BODY | {"rootfs": source})
    assert world.hosting.calls == []

    volume = {"source": f"{srv}/data", "target": "/data"}
    named = {"source": "data", "target": "/named"}  # the tenant's own
    await world.ask("POST", "/v1/instances", body=BODY | {"volumes": [volume, named], "rootfs": str(srv)})
    assert len(world.hosting.calls) == 1


@pytest.mark.parametrize("source", ["", "..", "-a", "a b", "a" * 65, "a\n"])
async def test_what_is_no_name_of_a_volume_is_refused(source: str, world: World) -> None:
    volume = {"source": source, "target": "/data"}
    with pytest.raises(UsageError, match="no name for a volume"):
        await world.ask("POST", "/v1/instances", body=BODY | {"volumes": [volume]})


async def test_names_may_be_ids_names_or_with_their_tenant(world: World) -> None:
    number = world.hosting.add(make_definition("acme", "web"))
    world.hosting.add(make_definition("rival", "web"))

    for reference in (number, "acme/web"):
        assert (await world.ask("GET", instance_path(reference)))["id"] == number
    with pytest.raises(Ambiguous):
        await world.ask("GET", instance_path("web"))


async def test_every_operation_reaches_its_instance(world: World) -> None:
    number = world.hosting.add(make_definition())
    for operation, query, call in (
        ("start", {}, ("start", number)),
        ("stop", {"timeout": 1.5}, ("stop", number, 1.5)),
        ("kill", {"signal": 15}, ("kill", number, 15)),
        ("kill", {}, ("kill", number, 9)),
        ("pause", {}, ("pause", number)),
        ("restart", {}, ("restart", number, None)),
    ):
        status = await world.ask("POST", instance_path("web", operation), query=query)
        assert (status["id"], world.hosting.calls[-1]) == (number, call)
    await world.ask("DELETE", instance_path("web"), query={"force": True})
    assert world.hosting.calls[-1] == ("remove", number, True)


@pytest.mark.parametrize("caller", [ALICE, ROOT])
async def test_a_port_is_published_and_taken_back(world: World, caller: Caller) -> None:
    number = world.hosting.add(make_definition())
    world.caller = caller
    port = PublishedPort(address="127.0.0.1", port=8080, target=80)

    await world.ask(
        "POST", instance_path("web", "ports"), body={"address": "127.0.0.1", "port": 8080, "target": 80}
    )
    await world.ask("DELETE", instance_path("web", "ports"), query={"port": "8080:80"})

    published = ("publish", number, port, not caller.operator)
    assert world.hosting.calls == [published, ("unpublish", number, port)]


@pytest.mark.parametrize("port", [0, 65536])
async def test_what_is_no_port_is_not_published(world: World, port: int) -> None:
    world.hosting.add(make_definition())

    with pytest.raises(UsageError, match="is no port"):
        await world.ask("POST", instance_path("web", "ports"), body={"port": port, "target": 80})
    assert world.hosting.calls == []


async def test_lists_leave_out_what_has_ended_unless_asked(world: World) -> None:
    world.hosting.add(make_definition(name="a"))
    world.hosting.add(make_definition(name="b"), InstanceState.EXITED)

    assert [one["name"] for one in await world.ask("GET", "/v1/instances")] == ["a"]
    assert len(await world.ask("GET", "/v1/instances", query={"all": True})) == 2


async def test_statistics_processes_information(world: World) -> None:
    world.hosting.add(make_definition())

    stats = await world.ask("GET", instance_path("web", "stats"))
    assert (stats["usage"]["memory"], stats["counted"]["calls"][0]["name"]) == (4096, "read")
    assert (await world.ask("GET", instance_path("web", "top")))[0]["command"] == "sleep 60"
    open_ = await world.ask("GET", instance_path("web", "connections"))
    assert (open_["connections"][0]["local"], open_["left_out"]) == ("10.0.0.2:80", 0)
    memory = await world.ask("GET", instance_path("web", "memory"))
    assert (memory["uses"][0]["kind"], memory["processes"][0]["program"]) == ("anonymous", "/bin/sleep")
    (sample,) = (await world.ask("GET", instance_path("web", "history")))["samples"]
    assert (sample["time"], sample["memory"], sample["calls"]) == (1.0, 4096, None)
    assert (await world.ask("GET", "/v1/info"))["cgroups"] == "v2"
    assert (await world.ask("GET", "/v1/plugins"))[0]["state"] == "active"
    assert (await world.ask("POST", "/v1/reload"))["created"] == ["acme/web"]
    assert await world.ask("POST", "/v1/prune") == []
    await world.ask("POST", "/v1/shutdown", query={"instances": "keep"})
    assert world.hosting.calls[-1] == ("shutdown", False)


@pytest.mark.parametrize(
    "error",
    [
        QuotaExceeded("too much"),
        Conflict("taken"),
        NotFound("no such"),
        LaunchError("no such program", 127),
        UsageError("nonsense"),
        KwhostError("whatever"),
    ],
)
async def test_errors_arrive_as_what_they_are(world: World, error: KwhostError) -> None:
    world.hosting.failure = error

    with pytest.raises(type(error)) as caught:
        await world.ask("POST", "/v1/instances", body=BODY)

    assert str(caught.value) == str(error)
    assert caught.value.exit_status == error.exit_status


async def test_a_bug_is_one_error_and_the_server_goes_on(world: World) -> None:
    world.hosting.failure = RuntimeError("the secret of another tenant")

    answer = await world.raw(request_bytes("POST", "/v1/reload"))

    assert (answer.status, answer.json["error"]["kind"]) == (500, "internal")
    assert "secret" not in answer.error
    assert world.reports == [world.hosting.failure]
    assert (await world.ask("GET", "/v1/version"))["api"] == "v1"


async def test_changes_are_in_the_audit_and_nothing_else_is(world: World) -> None:
    world.hosting.add(make_definition())
    world.caller = ALICE
    await world.ask("GET", "/v1/instances")
    await world.ask("POST", instance_path("web", "pause"))
    with pytest.raises(Conflict):
        await world.ask("POST", instance_path("web", "resume"))
    with pytest.raises(NotFound):
        await world.ask("POST", instance_path("secret", "stop"))

    assert [(entry.user, entry.action, entry.target, entry.outcome) for entry in world.audit] == [
        ("alice", "POST /v1/instances/{ref}/pause", "acme/web", "ok"),
        ("alice", "POST /v1/instances/{ref}/resume", "acme/web", "web is not paused"),
        ("alice", "POST /v1/instances/{ref}/stop", "secret", "there is no instance secret"),
    ]


async def test_what_is_refused_is_in_the_audit_unless_a_stranger_asked(world: World) -> None:
    world.caller = ALICE
    await world.raw(request_bytes("POST", "/v1/reload"))
    world.caller = STRANGER
    await world.raw(request_bytes("POST", "/v1/reload"))

    [entry] = world.audit
    assert (entry.user, entry.action) == ("alice", "POST /v1/reload")
    assert "only operators" in entry.outcome


async def test_what_a_caller_did_not_wait_for_is_in_the_audit(world: World) -> None:
    world.hosting.add(make_definition())

    async def stop(id: str, timeout: float | None) -> None:  # noqa: A002 - the protocol's name
        world.hosting.waiting.set()
        await trio.sleep_forever()

    world.hosting.stop = stop  # type: ignore[method-assign]
    stream = await world.connect()
    await stream.send_all(request_bytes("POST", "/v1/instances/web/stop"))
    await world.hosting.waiting.wait()
    await stream.aclose()

    await eventually(lambda: len(world.audit) == 1)
    assert (world.audit[0].target, world.audit[0].outcome) == (
        "acme/web",
        "the client went away before the end",
    )


async def test_an_audit_that_cannot_be_written_is_reported_and_changes_nothing(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(record: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(world.server._dispatcher, "_write_audit", fail)

    assert (await world.ask("POST", "/v1/reload"))["created"] == ["acme/web"]
    assert [str(error) for error in world.reports] == ["the disk is full"]


async def test_a_caller_who_leaves_cancels_what_was_asked(world: World) -> None:
    world.hosting.add(make_definition())
    stream = await world.connect()
    await stream.send_all(request_bytes("POST", "/v1/instances/web/wait"))
    await world.hosting.waiting.wait()
    await stream.aclose()

    with trio.fail_after(SECONDS):
        await world.hosting.cancelled.wait()
    assert world.reports == []


async def test_a_caller_who_only_stops_sending_gets_the_answer(world: World) -> None:
    stream = await world.connect()
    async with stream:
        await stream.send_all(request_bytes("GET", "/v1/version"))
        await stream.send_eof()
        assert (await read_answer(stream)).status == 200


async def test_arguments_that_are_not_utf8_are_listed(world: World) -> None:
    world.hosting.add(make_definition(command=("printf", "\udcff")))

    assert (await world.ask("GET", "/v1/instances"))[0]["command"] == ["printf", "\udcff"]


async def test_without_a_daemon_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"

    with pytest.raises(ApiError, match=f"no daemon runs on {path}; start one with kwhost up -d CONFIG"):
        await trio.to_thread.run_sync(Client(path).request, "GET", "/v1/version")
