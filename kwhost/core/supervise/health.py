"""Health checks: probing an instance, and what a series of probes says.

Probes are made one after another; a probe that takes too long has failed.
"""

import os
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import h11
import trio

from kwhost.core.abi.messages import EventType, new_socket
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.errors import KwhostError
from kwhost.core.model.definition import Healthcheck, ProbeKind
from kwhost.core.model.status import Health
from kwhost.core.supervise.control import Control

__all__ = ["HealthSeries", "probe", "watch_health"]

_HEAD_MAX = 64 * 1024
_READ = 4096

# Runs a command inside the instance; its exit status.
Execute = Callable[[tuple[str, ...]], Awaitable[int]]


class HealthSeries(NamedTuple):
    """What the probes so far say. Pure."""

    health: Health = Health.STARTING
    failures: int = 0

    def after(self, check: Healthcheck, *, healthy: bool, age: float) -> "HealthSeries":
        """With one probe more, of an instance that runs for `age` seconds. Failures before `start_period`
        is over do not count while it was never healthy."""
        if healthy:
            return HealthSeries(Health.HEALTHY, 0)
        if self.health is Health.STARTING and age < check.start_period:
            return self
        failures = self.failures + 1
        return HealthSeries(Health.UNHEALTHY if failures >= check.retries else self.health, failures)


class Probed(Protocol):
    """The instance that is watched."""

    async def set_health(self, health: Health) -> None:
        """Take note of a change."""

    async def run_probe(self, command: tuple[str, ...]) -> int:
        """Run a command inside; its exit status."""


async def watch_health(instance: Probed, check: Healthcheck, dirs: InstanceDirs, started: float) -> None:
    """Probe again and again, until cancelled. `started` is in trio's time."""
    series = HealthSeries()
    await instance.set_health(series.health)
    while True:
        healthy = await probe(check, dirs, instance.run_probe)
        before, series = series, series.after(check, healthy=healthy, age=trio.current_time() - started)
        if series.health is not before.health:
            await instance.set_health(series.health)
        # Whoever starts is looked at more often: others may wait for it.
        pause = min(check.interval, 1.0) if series.health is Health.STARTING else check.interval
        await trio.sleep(pause)


async def probe(check: Healthcheck, dirs: InstanceDirs, execute: Execute) -> bool:
    """One probe: whether the instance is healthy."""
    with trio.move_on_after(check.timeout):
        try:
            match check.kind:
                case ProbeKind.COMMAND:
                    return await execute(check.target) == 0
                case ProbeKind.TCP:
                    async with await _connect(dirs, int(check.target[0].lstrip(":"))):
                        return True
                case ProbeKind.HTTP:
                    return await _probe_http(dirs, check.target[0])
        except (KwhostError, OSError, trio.BrokenResourceError, h11.ProtocolError):
            return False
        except (ValueError, OverflowError):  # a request of the API may name what is no port
            return False
    return False


async def _connect(dirs: InstanceDirs, port: int) -> trio.SocketStream:
    """A connection to the instance's own loopback. Raises OSError."""
    connection = dirs.connect()
    if connection is None:
        raise ConnectionRefusedError
    control = Control(connection)
    try:
        await control.send(new_socket(socket.AF_INET, socket.SOCK_STREAM))
        fd = await _receive_socket(control)
    finally:
        control.close()
    stream = trio.socket.from_stdlib_socket(socket.socket(fileno=fd))
    try:
        await stream.connect(("127.0.0.1", port))
        return trio.SocketStream(stream)
    except BaseException:
        stream.close()
        raise


async def _receive_socket(control: Control) -> int:
    while report := await control.receive():
        if report.event.type is EventType.SOCKET and report.fds:
            return report.fds[0]
        for fd in report.fds:
            os.close(fd)
        if report.event.type is EventType.SOCKET:
            raise OSError(report.event.value, os.strerror(report.event.value))
    raise ConnectionResetError


async def _probe_http(dirs: InstanceDirs, target: str) -> bool:
    """Whether `http://:PORT/PATH` answers with a status from 200 to 399."""
    place, slash, path = target.removeprefix("http://:").partition("/")
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX)
    headers = [("Host", "localhost"), ("User-Agent", "kwhost-health"), ("Connection", "close")]
    request = h11.Request(method="GET", target=slash + path or "/", headers=headers)
    async with await _connect(dirs, int(place)) as stream:
        await stream.send_all(http.send(request) + http.send(h11.EndOfMessage()))
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await stream.receive_some(_READ))
            elif isinstance(event, h11.Response):
                return event.status_code in range(200, 400)
            elif not isinstance(event, h11.InformationalResponse):
                return False
