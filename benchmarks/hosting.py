"""A daemon for one measurement: `kwhost up` on directories of its own, what it costs, and what it leaves."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from benchmarks.figures import MeasurementError
from benchmarks.processes import cpu_seconds, descendants
from benchmarks.waiting import wait_process
from kwhost.core.abi._abi import ffi
from kwhost.core.abi.messages import MESSAGE_SIZE, hello
from kwhost.core.abi.statistics_page import STATS_SIZE
from kwhost.core.api.client import Client
from kwhost.core.cgroups.hierarchies import read_hierarchies
from kwhost.core.cgroups.placement import base_name
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.errors import ApiError
from kwhost.core.model.ids import InstanceId
from kwhost.net.namespaces import run_inside
from kwhost.net.wishes import Namespace

__all__ = ["COMMAND", "TENANT", "HostingDaemon"]

TENANT = "bench"
COMMAND = ("busybox", "sleep", "1000000")
_SECONDS = 300.0
_FAILED = ("failed", "crash-loop", "exited")


class HostingDaemon:
    """Hosts `replicas` instances of COMMAND from its configuration; others are made through `client`.

    `more` is what else the configuration says of the tenant, and of its instances; `namespace` is the network
    namespace that the daemon is in. Leaving the block ends all of it.
    """

    def __init__(
        self, directory: Path, replicas: int = 0, *, more: str = "", namespace: Namespace | None = None
    ) -> None:
        self._directory = directory
        self._replicas = replicas
        self._more = more
        self._namespace = namespace
        self._run_dir, self._state_dir = directory / "run", directory / "state"
        self.api = self._run_dir / "api.sock"
        self.client = Client(self.api)

    def __enter__(self) -> Self:
        self._directory.mkdir()
        file = self._directory / "config.toml"
        file.write_text(self._configuration())
        self._said = (self._directory / "said").open("w+")
        command = [sys.executable, "-m", "kwhost", "up", str(file)]
        start = partial(subprocess.Popen, command, stdin=subprocess.DEVNULL, stderr=self._said)
        self.process = run_inside(self._namespace, start)
        try:
            self.wait_until(self._answers, 0.01)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self.process.poll() is None:
            with suppress(ApiError):
                self.ask_to_end()
            wait_process(self.process, _SECONDS)
        self._said.close()

    def _configuration(self) -> str:
        lines = [
            "[host]",
            f'state_dir = "{self._state_dir}"',
            f'run_dir = "{self._run_dir}"',
            'log_level = "warning"',
            f"[tenants.{TENANT}]",
            self._more,
        ]
        if self._replicas:
            lines += [
                f"[tenants.{TENANT}.instances.sleep]",
                f"command = {list(COMMAND)}",
                f"replicas = {self._replicas}",
            ]
        return "\n".join(lines) + "\n"

    def _answers(self) -> bool:
        try:
            self.client.request("GET", "/v1/info")
        except ApiError:
            return False
        return True

    def wait_until(self, condition: Callable[[], bool], pause: float) -> None:
        """Look again and again. A MeasurementError where the daemon fails before, or it takes too long."""
        end = time.monotonic() + _SECONDS
        while not condition():
            if self.process.poll() or time.monotonic() > end:
                self._said.seek(0)
                raise MeasurementError(f"the daemon failed: {self._said.read()[-500:].strip()}")
            time.sleep(pause)

    def ask_to_end(self) -> None:
        """Have all instances stopped, and then the daemon end."""
        self.client.request("POST", "/v1/shutdown", {"instances": "stop"})

    def has_ended(self) -> bool:
        """Whether it ended as it should; `wait_until` tells of other ends."""
        return self.process.poll() == 0

    def instances(self) -> list[dict[str, Any]]:
        """What `ps --all` shows."""
        found: list[dict[str, Any]] = self.client.request("GET", "/v1/instances", {"all": True})
        return found

    def all_run(self) -> bool:
        """Whether every instance runs; a MeasurementError where one has failed."""
        found = self.instances()
        for entry in found:
            if entry["state"] in _FAILED:
                raise MeasurementError(f"{entry['name']} has {entry['state']}: {entry['message']}")
        return len(found) >= self._replicas and all(entry["state"] == "running" for entry in found)

    def first_instruction_ns(self, instance: str) -> int:
        """Wait until its program has begun; when that was, on the monotonic clock."""
        statistics = self._open_statistics(InstanceId(instance))
        page = ffi.new("struct kw_stats *")

        def has_begun() -> bool:
            ffi.memmove(page, os.pread(statistics, STATS_SIZE, 0), STATS_SIZE)
            return bool(page.first_run_ns)

        try:
            self.wait_until(has_begun, 0.001)
        finally:
            os.close(statistics)
        return int(page.first_run_ns)

    def _open_statistics(self, instance: InstanceId) -> int:
        """Its statistics page; the caller closes it."""
        control = InstanceDirs.of(self._run_dir, self._state_dir, instance).connect()
        if control is None:
            raise MeasurementError(f"instance {instance} does not run")
        with control:
            control.send(hello())
            fds: list[int] = []
            while not fds:
                _, fds, _, _ = socket.recv_fds(control, MESSAGE_SIZE + 1, 1)
        return fds[0]

    def cpu_seconds(self) -> float:
        """Processor time so far of the daemon and of everything below it that still lives."""
        return sum(map(cpu_seconds, descendants(self.process.pid)))

    def leftovers(self) -> Iterator[str]:
        """What is there after its end and should not be: directories, sockets, cgroups, mounts."""
        for directory in (self._run_dir / "instances", self._state_dir / "instances"):
            yield from map(str, directory.iterdir())
        yield from map(str, self._run_dir.glob("*.sock"))
        v2, v1 = read_hierarchies()
        for place in {hierarchy.mount_point for hierarchy in (v2, *v1.values()) if hierarchy}:
            yield from map(str, place.rglob(base_name(self._state_dir)))
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        yield from (line for line in mounts if str(self._directory) in line)
