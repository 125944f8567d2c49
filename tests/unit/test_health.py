"""Health checks: what a series of probes says, and what a single one finds out."""

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.errors import Conflict
from kwhost.core.model.definition import Healthcheck, ProbeKind
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.status import Health
from kwhost.core.supervise import health as health_module
from kwhost.core.supervise.health import HealthSeries, probe, watch_health

COMMAND = Healthcheck(kind=ProbeKind.COMMAND, target=("check",), interval=30, timeout=5, retries=3)
Serve = Callable[[trio.SocketStream], Awaitable[None]]


def series(*probes: bool, start_period: float = 0.0) -> HealthSeries:
    """After one probe each second."""
    check = Healthcheck(kind=ProbeKind.TCP, target=(":1",), retries=3, start_period=start_period)
    found = HealthSeries()
    for age, healthy in enumerate(probes):
        found = found.after(check, healthy=healthy, age=age)
    return found


@pytest.mark.parametrize(
    ("probes", "health"),
    [
        ("", Health.STARTING),
        ("0", Health.STARTING),
        ("000", Health.UNHEALTHY),
        ("1", Health.HEALTHY),
        ("100", Health.HEALTHY),
        ("1000", Health.UNHEALTHY),
        ("1001", Health.HEALTHY),
        ("10010011", Health.HEALTHY),
        ("0001", Health.HEALTHY),
    ],
)
def test_so_many_failures_in_a_row_are_unhealthy(probes: str, health: Health) -> None:
    assert series(*(each == "1" for each in probes)).health is health


def test_failures_in_the_start_period_do_not_count() -> None:
    assert series(*[False] * 10, start_period=10).health is Health.STARTING
    assert series(*[False] * 13, start_period=10).health is Health.UNHEALTHY


def test_the_start_period_is_over_with_the_first_success() -> None:
    assert series(True, False, False, False, start_period=100).health is Health.UNHEALTHY


@given(st.lists(st.booleans()))
def test_the_last_probe_decides_if_it_went_well(probes: list[bool]) -> None:
    assert series(*probes, True) == HealthSeries(Health.HEALTHY, 0)


async def found_by(check: Healthcheck, execute: Any = None) -> bool:
    dirs = InstanceDirs.of(Path("/nowhere"), Path("/nowhere"), InstanceId("0123456789ab"))
    return await probe(check, dirs, execute)


@pytest.mark.parametrize(("status", "healthy"), [(0, True), (1, False), (137, False)])
async def test_a_command_is_healthy_with_status_0(status: int, healthy: bool) -> None:
    async def execute(command: tuple[str, ...]) -> int:
        assert command == ("check",)
        return status

    assert await found_by(COMMAND, execute) == healthy


async def test_a_command_that_cannot_be_run_is_a_failure() -> None:
    async def execute(command: tuple[str, ...]) -> int:
        raise Conflict("it is stopping")

    assert not await found_by(COMMAND, execute)


async def test_a_probe_that_takes_too_long_has_failed(autojump_clock: trio.testing.MockClock) -> None:
    async def execute(command: tuple[str, ...]) -> int:
        await trio.sleep(1000)
        return 0

    before = trio.current_time()
    assert not await found_by(COMMAND, execute)
    assert trio.current_time() - before == COMMAND.timeout


@pytest.mark.parametrize("kind", [ProbeKind.TCP, ProbeKind.HTTP])
async def test_an_instance_without_a_supervisor_is_unhealthy(kind: ProbeKind) -> None:
    target = ":80" if kind is ProbeKind.TCP else "http://:80/"
    assert not await found_by(Healthcheck(kind=kind, target=(target,)))


@pytest.fixture
def own_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets come from the test's own network in place of an instance's."""

    class Here:
        def __init__(self, connection: socket.socket) -> None:
            connection.close()

        async def send(self, message: bytes) -> bool:
            return True

        def close(self) -> None: ...

    async def new_socket(control: Any) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as made:
            return os.dup(made.fileno())

    monkeypatch.setattr(InstanceDirs, "connect", lambda self: socket.socket(socket.AF_UNIX))
    monkeypatch.setattr(health_module, "Control", Here)
    monkeypatch.setattr(health_module, "_receive_socket", new_socket)


async def answered(answer: bytes, kind: ProbeKind = ProbeKind.HTTP) -> tuple[bool, bytes]:
    """What a probe says of a server with this answer, and what the server was asked."""
    asked = b""

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal asked
        if kind is ProbeKind.HTTP:
            asked = await stream.receive_some()
        await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        port = listeners[0].socket.getsockname()[1]
        target = f":{port}" if kind is ProbeKind.TCP else f"http://:{port}/alive?x=1"
        healthy = await found_by(Healthcheck(kind=kind, target=(target,)))
        nursery.cancel_scope.cancel()
    return healthy, asked


@pytest.mark.usefixtures("own_loopback")
@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 399 Odd\r\n\r\n", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"HTTP/1.1 500 Broken\r\n\r\n", False),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", False),
        (b"", False),
        (b"HTTP/1.1 2", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", False),
        (b"\0" * 1000, False),
    ],
)
async def test_http_is_healthy_with_a_good_status(answer: bytes, healthy: bool) -> None:
    found, asked = await answered(answer)

    assert found == healthy
    assert asked.startswith(b"GET /alive?x=1 HTTP/1.1\r\n")


@pytest.mark.usefixtures("own_loopback")
async def test_tcp_is_healthy_where_somebody_listens() -> None:
    assert await answered(b"", ProbeKind.TCP) == (True, b"")


@pytest.mark.usefixtures("own_loopback")
@pytest.mark.parametrize("port", ["0", "-1", "65536", "99999999999", "web", "", "8000/\r\nX: y"])
@pytest.mark.parametrize(("kind", "target"), [(ProbeKind.TCP, ":{}"), (ProbeKind.HTTP, "http://:{}/")])
async def test_what_is_no_port_is_unhealthy(kind: ProbeKind, target: str, port: str) -> None:
    assert not await found_by(Healthcheck(kind=kind, target=(target.format(port),)))


@pytest.mark.usefixtures("own_loopback")
@pytest.mark.parametrize(("kind", "target"), [(ProbeKind.TCP, ":{}"), (ProbeKind.HTTP, "http://:{}/")])
async def test_nobody_listening_is_unhealthy(kind: ProbeKind, target: str) -> None:
    with socket.socket() as unused:  # bound, and not listening
        unused.bind(("127.0.0.1", 0))
        place = target.format(unused.getsockname()[1])

        assert not await found_by(Healthcheck(kind=kind, target=(place,)))


async def test_only_changes_are_told(autojump_clock: trio.testing.MockClock) -> None:
    class Patient:
        def __init__(self) -> None:
            self.told: list[tuple[float, Health]] = []
            self.results = iter([1, 1, 0, 0, 1, 1, 1, 1, 0])

        async def set_health(self, health: Health) -> None:
            self.told.append((trio.current_time() - began, health))

        async def run_probe(self, command: tuple[str, ...]) -> int:
            if (result := next(self.results, None)) is None:
                scope.cancel()
                await trio.lowlevel.checkpoint()
            return result or 0

    began = trio.current_time()
    patient = Patient()
    dirs = InstanceDirs.of(Path("/nowhere"), Path("/nowhere"), InstanceId("0123456789ab"))
    with trio.CancelScope() as scope:
        await watch_health(patient, COMMAND, dirs, began)

    # Every second until it was healthy for the first time, then every 30.
    assert patient.told == [
        (0, Health.STARTING),
        (2, Health.HEALTHY),
        (2 + 4 * 30, Health.UNHEALTHY),
        (2 + 6 * 30, Health.HEALTHY),
    ]
