"""Instances, started through the engine's own launch code without command line or event loop."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.figures import MeasurementError
from benchmarks.waiting import wait_process
from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.messages import MESSAGE_SIZE, Event, EventType
from kwhost.core.abi.statistics_page import STATS_SIZE
from kwhost.core.config.host import load_host_config
from kwhost.core.engines.base import NO_POLICY, Engine, Launched, PolicyFds
from kwhost.core.engines.id_ranges import IdLease, lease_ids
from kwhost.core.model.ids import InstanceName
from kwhost.core.model.instance import InstanceSpec, LaunchPlan
from kwhost.core.model.volume import Volume
from kwhost.core.supervise.planning import local_image, plan_instance

__all__ = ["GUEST_PROGRAMS", "Instance", "Launcher", "Run", "parse_figures"]

GUEST_PROGRAMS = "/mnt"
_END_SECONDS = 120.0
_RING_OF_HARDWARE = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One instance from launch to end."""

    wall_ns: float  # until `supervise` was gone
    output: str
    start_ns: float  # the monitor's main to the first guest instruction
    ready_ns: float  # launch to the first guest instruction
    hardware: bool  # SYSCALL enters ring 0: hardware-style KVM


@dataclass(frozen=True, slots=True)
class Instance:
    """A running one."""

    launched: Launched

    def started(self) -> None:
        """Wait until its program runs."""
        _wait_event(self.launched.control, EventType.STARTED)

    @property
    def supervise(self) -> int:
        """The pid of its supervising process."""
        return self.launched.process.pid


def parse_figures(text: str) -> dict[str, float]:
    """The "NAME VALUE" lines that the programs in native/ print."""
    figures = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        try:
            figures[name] = float(value)
        except ValueError as error:
            raise MeasurementError(f"unexpected output: {line!r}") from error
    return figures


def _wait_event(control: socket.socket, wanted: EventType) -> Event:
    """Read events up to the wanted one."""
    control.settimeout(_END_SECONDS)
    while data := control.recv(MESSAGE_SIZE + 1):
        event = Event.decode(data)
        if event is None:
            continue
        if event.type is EventType.FAILED:
            raise MeasurementError(f"an instance did not start: {event.text}")
        if event.type is wanted:
            return event
        if event.type is EventType.EXITED:
            raise MeasurementError(f"an instance ended early: status {event.value} {event.text}")
    raise MeasurementError("supervise ended without an event")


@contextlib.contextmanager
def _standard_output(fd: int) -> Iterator[None]:
    """Instances use the caller's standard streams."""
    kept = os.dup(1)
    os.dup2(fd, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


class Launcher:
    """Plans made once; each run launches its plan again, as a program does that has read its bundle."""

    def __init__(self, engine: Callable[[IdLease], Engine]) -> None:
        self._engine = engine
        self._lease: IdLease | None = None
        self._plans: dict[tuple[object, ...], LaunchPlan] = {}

    def __enter__(self) -> Self:
        self._lease = lease_ids(load_host_config().uid_base)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lease:
            self._lease.close()

    def plan(
        self,
        argv: tuple[str, ...],
        *,
        rootfs: Path | None = None,
        programs: Path | None = None,
        image: str = "host",
        state_dir: Path = Path("/var/lib/kwhost"),
    ) -> LaunchPlan:
        """What to start: on the programs of this machine, an image of a store, or in a directory; `programs`
        appears at GUEST_PROGRAMS."""
        key = (argv, rootfs, programs, image, state_dir)
        if key not in self._plans:
            assert self._lease
            volumes = (Volume(str(programs), GUEST_PROGRAMS, read_only=True),) if programs else ()
            spec = InstanceSpec(
                argv=argv,
                name=InstanceName("bench"),
                image=image,
                rootfs=str(rootfs) if rootfs else None,
                volumes=volumes,
            )
            found = local_image(spec, state_dir)
            self._plans[key] = plan_instance(spec, found, self._lease.ids, None)
            found.close()  # nobody removes it meanwhile
        return self._plans[key]

    @contextlib.contextmanager
    def started(self, plan: LaunchPlan, output: int, policy: PolicyFds = NO_POLICY) -> Iterator[Instance]:
        """A running instance that ends with the block."""
        assert self._lease
        with _standard_output(output):
            launched = self._engine(self._lease).launch(plan, policy)
        try:
            yield Instance(launched)
        finally:
            launched.abandon()

    def run(self, plan: LaunchPlan, *, status: int = 0, policy: PolicyFds = NO_POLICY) -> Run:
        """Start an instance and wait for its end; an unexpected exit status is an error."""
        output = os.memfd_create("bench-output", os.MFD_CLOEXEC)
        try:
            with _standard_output(output):
                return self._run(plan, output, status, policy)
        finally:
            os.close(output)

    def _run(self, plan: LaunchPlan, output: int, status: int, policy: PolicyFds) -> Run:
        assert self._lease
        started = time.monotonic_ns()
        launched = self._engine(self._lease).launch(plan, policy)
        try:
            wait_process(launched.process, _END_SECONDS)
            wall = time.monotonic_ns() - started
            ended = _wait_event(launched.control, EventType.EXITED)
            page = ffi.new("struct kw_stats *")
            ffi.memmove(page, os.pread(launched.stats, STATS_SIZE, 0), STATS_SIZE)
        finally:
            launched.abandon()
        text = os.pread(output, 1 << 20, 0).decode()
        if ended.value != status:
            raise MeasurementError(f"{plan.argv[0]} ended with {ended.value}: {ended.text or text.strip()}")
        assert page.magic == lib.KW_STATS_MAGIC
        return Run(
            wall_ns=wall,
            output=text,
            start_ns=page.first_run_ns - page.launched_ns,
            ready_ns=page.first_run_ns - started,
            hardware=page.syscall_ring == _RING_OF_HARDWARE,
        )

    def figures(self, plan: LaunchPlan) -> dict[str, float]:
        """Run one of our own programs and read what it measured."""
        return parse_figures(self.run(plan).output)
