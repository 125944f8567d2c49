"""One hosted instance: its life from creation to removal, over any number of runs.

The record is what the store keeps; everything else here is about the present run. State changes are made at
once and written before anything else follows from them.
"""

import math
import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from kwhost.core.abi.exit_record import ExitRecord
from kwhost.core.abi.messages import EventType, hello, send_signal, stop, watch_log
from kwhost.core.abi.statistics import decode_statistics
from kwhost.core.abi.statistics_page import STATS_SIZE
from kwhost.core.errors import (
    EXIT_INTERNAL,
    EXIT_SIGNAL_BASE,
    EXIT_TIMEOUT,
    Conflict,
    KwhostError,
    LaunchError,
    StoreError,
)
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import EventKind
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.model.status import EndReason, Health, InstanceState, InstanceStatus
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import ExitHistory, InstanceRecord
from kwhost.core.supervise.bell import Bell
from kwhost.core.supervise.control import Control, Report
from kwhost.core.supervise.ends import End, describe_end, end_of
from kwhost.core.supervise.health import watch_health
from kwhost.core.supervise.hosting import ExecRequest, StdioFds
from kwhost.core.supervise.launching import Launch, Start, launch_instance
from kwhost.core.supervise.lifecycle import LIVE_STATES, STARTABLE_STATES, check_step
from kwhost.core.supervise.planning import plan_exec, spec_of
from kwhost.core.supervise.restart import RestartPlan, plan_restart
from kwhost.core.supervise.session import ExecSession, start_exec
from kwhost.core.supervise.surroundings import Surroundings

if TYPE_CHECKING:
    from kwhost.core.cgroups.group import Cgroup

__all__ = ["HostedInstance"]

S = InstanceState

# Beyond the stop time-out, until `supervise` has reported the end; then its cgroup is killed.
_KILL_SECONDS = 5.0
_DISCARDED = 64 * 1024


class HostedInstance:
    """Methods that start or stop something return when it has happened; a caller that is cancelled
    meanwhile changes nothing about it."""

    def __init__(self, record: InstanceRecord, tenant: Tenant, around: Surroundings) -> None:
        self.record = record
        self.tenant = tenant
        self.health = Health.NONE
        self.pid: int | None = None
        self.changed = Bell()
        self.logged = Bell()
        self.log_mark = 1
        self.group: Cgroup | None = None
        self._around = around
        self._nursery: trio.Nursery | None = None
        self._control: Control | None = None
        self._stats = -1
        self._started_ns = 0
        self._memory_exceeded = ""
        self._timed_out = False
        self._run = trio.CancelScope()  # what watches the present run
        self._short_runs = 0
        self._waiting: trio.CancelScope | None = None
        self._frozen = False

    # What it is.

    @property
    def definition(self) -> InstanceDefinition:
        """What it was asked to be."""
        return self.record.definition

    @property
    def is_live(self) -> bool:
        """Processes of it exist, or may."""
        return self.record.state in LIVE_STATES

    @property
    def is_settled(self) -> bool:
        """It does not run, and will not start again by itself."""
        return not self.is_live and self._waiting is None

    def status(self) -> InstanceStatus:
        """One line of `ps`."""
        record, definition = self.record, self.definition
        return InstanceStatus(
            id=record.id,
            name=record.name,
            tenant=record.tenant,
            engine=record.engine,
            isolation="vm",
            state=record.state,
            health=self.health,
            pid=self.pid,
            image=definition.rootfs or definition.image,
            command=definition.command,
            created=record.created,
            started=record.started,
            ended=record.ended,
            exit_code=record.exit_code,
            reason=record.reason,
            message=record.message,
            restarts=record.restarts,
        )

    def statistics(self) -> InstanceStatistics | None:
        """What the monitors of the present run have counted."""
        if self._stats < 0:
            return None
        return decode_statistics(os.pread(self._stats, STATS_SIZE, 0), self._started_ns)

    # Its task.

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own everything that goes on about the instance, until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self._forget_run()

    def spawn(self, function: Any, *arguments: Any) -> None:
        """Have something done that outlives whoever asks; its failure is the instance's alone."""
        assert self._nursery
        self._nursery.start_soon(self._guard, function, *arguments)

    async def _guard(self, function: Any, *arguments: Any) -> None:
        try:
            await function(*arguments)
        except Exception as error:  # noqa: BLE001 - a failure never leaves the instance's nursery
            self._around.journal.report_fault(self.record, error)

    # Steps.

    async def _step(
        self,
        state: InstanceState,
        kind: EventKind,
        text: str = "",
        *,
        must: bool = False,
        ended_run: ExitHistory | None = None,
        **changes: Any,
    ) -> None:
        check_step(self.record.state, state)
        before, self.record = self.record, replace(self.record, state=state, **changes)
        self.changed.ring()
        try:
            await self._around.journal.commit(self.record, kind, text, ended=ended_run, must=must)
        except StoreError:
            self.record = before
            self.changed.ring()
            raise

    async def start(self, stdio: StdioFds | None = None) -> None:
        """Start it, and return once its program runs. Raises Conflict, LaunchError and what stands in
        the way on this host."""
        if self.record.state not in STARTABLE_STATES:
            raise Conflict(f"{self.record.name} is {self.record.state.value} already")
        self._stop_waiting()
        self._short_runs = 0
        await self._begin(stdio)
        while self.record.state is S.STARTING:
            await self.changed.wait()
        if self.record.state is S.FAILED:
            raise LaunchError(self.record.message, self.record.exit_code or EXIT_INTERNAL)

    async def _begin(self, stdio: StdioFds | None) -> None:
        """One run. Shielded: what was begun is finished, whoever asked for it is gone or not."""
        with trio.CancelScope(shield=True):
            await self._step(
                S.STARTING,
                EventKind.STARTING,
                must=True,
                desired="running",
                started=None,
                ended=None,
                exit_code=None,
                reason=None,
                message="",
            )
            try:
                start = Start(self.record.id, self.definition, self.tenant, stdio, self.record.confined)
                launch = await launch_instance(self._around, start)
            except (KwhostError, OSError) as error:
                status = error.exit_status if isinstance(error, KwhostError) else EXIT_INTERNAL
                await self._end(End(EndReason.FAILED, status, str(error)))
                raise
            self._take_over(launch)

    def _take_over(self, launch: Launch) -> None:
        self._forget_run()
        self._run = trio.CancelScope()
        self._stats, self._started_ns = launch.stats, time.monotonic_ns()
        self.group = launch.group
        self._frozen = False
        connection = self._around.dirs(self.record.id).connect()
        self.spawn(self._watch, Control(connection) if connection else None, launch)

    async def adopt(self) -> None:
        """Go on with an instance that an earlier daemon had; find out how it ended if it has."""
        if not self.is_live:  # its restart was due
            await self._begin(None)
            return
        self._frozen = self.record.state is S.PAUSED
        self._run = trio.CancelScope()
        self.group = self._around.cgroups.instance(self.record.tenant, self.record.id)
        connection = self._around.dirs(self.record.id).connect()
        if connection is None:
            await self._finish()
            return
        self.spawn(self._watch, Control(connection), None)

    async def _watch(self, control: Control | None, launch: Launch | None) -> None:
        self._control = control
        try:
            if control and await control.send(hello()):
                while report := await control.receive():
                    await self._handle(report)
        finally:
            self._control = None
            if control:
                control.close()
        if launch:
            await _reap(launch)
        await self._finish()

    async def _handle(self, report: Report) -> None:
        event, fds = report
        match event.type:
            case EventType.HELLO:
                self._keep_statistics(fds, event.time_ns)
                if event.value:
                    await self._runs(event.extra, adopted=True)
                return
            case EventType.STARTED:
                await self._runs(event.value, adopted=False)
            case EventType.LOGGED:
                self.log_mark += 1
                self.logged.ring()
            case EventType.MEMORY:
                self._memory_exceeded = event.text
            case EventType.NOTICE:
                await self._around.journal.commit(self.record, EventKind.NOTICE, event.text)
            case _:
                pass  # the end is told by the exit record
        for fd in fds:
            os.close(fd)

    def _keep_statistics(self, fds: tuple[int, ...], started_ns: int) -> None:
        for fd in fds[1:]:
            os.close(fd)
        if fds:
            if self._stats >= 0:
                os.close(self._stats)
            self._stats, self._started_ns = fds[0], started_ns

    async def _runs(self, pid: int, *, adopted: bool) -> None:
        if self.pid is not None:  # a greeting and the event itself both tell
            return
        self.pid = pid
        if self.record.state is S.STARTING:
            await self._step(S.RUNNING, EventKind.STARTED, started=time.time())
        elif adopted:
            await self._around.journal.commit(self.record, EventKind.ADOPTED)
            if self.record.state is S.STOPPING:
                self.spawn(self._stop, self.definition.stop_timeout)
        self._spawn_run(self._enforce_timeout)
        self._spawn_run(self._watch_health)

    def _spawn_run(self, function: Any) -> None:
        """Have something done until the present run ends."""
        run = self._run

        async def until_end() -> None:
            with run:
                await function()

        self.spawn(until_end)

    async def _enforce_timeout(self) -> None:
        if self.definition.timeout is None:
            return
        ran = time.time() - (self.record.started or time.time())
        await trio.sleep(max(0.0, self.definition.timeout - ran))
        self._timed_out = True
        await self.send(send_signal(signal.SIGKILL))

    async def _watch_health(self) -> None:
        while check := self.definition.healthcheck:
            started = trio.current_time() - (time.time() - (self.record.started or time.time()))
            dirs = self._around.dirs(self.record.id)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch_health, self, check, dirs, started)
                while self.definition.healthcheck == check:
                    await self.changed.wait()
                nursery.cancel_scope.cancel()

    async def set_health(self, health: Health) -> None:
        """What the health check found out."""
        self.health = health
        self.changed.ring()
        if health is Health.HEALTHY:
            await self._around.journal.commit(self.record, EventKind.HEALTHY)
        elif health is Health.UNHEALTHY:
            await self._around.journal.commit(self.record, EventKind.UNHEALTHY)

    async def run_probe(self, command: tuple[str, ...]) -> int:
        """Run a health check's command inside; its exit status."""
        session = await self.execute(ExecRequest(command=command))
        try:
            async with trio.open_nursery() as nursery:
                for stream in filter(None, (session.stdout, session.stderr)):
                    nursery.start_soon(_discard, stream)
                status = await session.wait()
                nursery.cancel_scope.cancel()
            return status
        finally:
            with trio.CancelScope(shield=True):
                await session.aclose()

    async def execute(self, request: ExecRequest) -> ExecSession:
        """Start a further program inside. Raises Conflict, LaunchError, UsageError."""
        if self.record.state is not S.RUNNING:
            raise Conflict(f"{self.record.name} is {self.record.state.value}: nothing can be run in it")
        plan = plan_exec(
            spec_of(self.definition, self.tenant.isolation),
            user=request.user,
            workdir=request.workdir,
            environment=request.environment,
            terminal=request.terminal is not None,
        )
        return await start_exec(self._around.dirs(self.record.id), request, plan)

    # Its end.

    async def _finish(self) -> None:
        """`supervise` is gone: say how the instance ended, clean up, and see what follows."""
        with trio.CancelScope(shield=True):
            found = self._around.dirs(self.record.id).read_exit()
            end = self._describe(found)
            await self._clean()
            started = found.started_ns / 1e9 if found and found.started_ns else self.record.started
            if end.reason is EndReason.FAILED:
                started = None
            await self._end(end, started=started, ended=found.ended_ns / 1e9 if found else None)

    def _describe(self, found: ExitRecord | None) -> End:
        if found is None and self.record.state is S.STARTING:
            return End(EndReason.LOST, None, "the daemon was killed before it started")
        end = end_of(found)
        if self._timed_out:
            return End(EndReason.TIMEOUT, EXIT_TIMEOUT, f"ran for longer than {self.definition.timeout:g} s")
        killed = end.exit_code == EXIT_SIGNAL_BASE + signal.SIGKILL
        if killed and self.group and self.group.usage().oom_kills:
            return End(EndReason.MEMORY, end.exit_code, "used more memory than its limit")
        if end.reason is EndReason.EXITED and self.record.desired != "running":
            return End(EndReason.STOPPED, end.exit_code, end.message)
        if self._memory_exceeded and end.reason is EndReason.MEMORY:
            return End(EndReason.MEMORY, end.exit_code, self._memory_exceeded)
        return end

    async def _clean(self) -> None:
        """Nothing stays but the log and the exit record."""
        if self.group:
            await self.group.kill()
            await self.group.remove()
            self.group = None
        self._around.dirs(self.record.id).remove_run()

    async def _end(self, end: End, *, started: float | None = None, ended: float | None = None) -> None:
        now = time.time()
        ended = ended or now
        ran = max(0.0, ended - started) if started else 0.0
        self._forget_run()
        self.logged.ring()
        failed = end.reason in (EndReason.FAILED, EndReason.LOST)
        plan = None
        if self.record.desired == "running":
            plan = plan_restart(
                self.definition.restart, end.reason, end.exit_code, ran=ran, short_runs=self._short_runs
            )
        if self.record.state is S.STARTING and started:
            # It ran so shortly that the start itself was not seen.
            await self._step(S.RUNNING, EventKind.STARTED, started=started)
        if plan is None:
            self.record = replace(self.record, desired="stopped")
        waiting = self._waiting = trio.CancelScope() if plan else None
        await self._step(
            S.FAILED if failed else S.EXITED,
            EventKind.FAILED if failed else EventKind.EXITED,
            describe_end(end),
            ended_run=ExitHistory(
                instance=self.record.id,
                started=started,
                ended=ended,
                exit_code=end.exit_code,
                reason=end.reason,
                message=end.message,
            ),
            ended=ended,
            exit_code=end.exit_code,
            reason=end.reason,
            message=end.message,
        )
        if plan and waiting:
            self.spawn(self._restart_after, plan, waiting)

    def _forget_run(self) -> None:
        self._run.cancel()
        if self._stats >= 0:
            os.close(self._stats)
        self._stats, self._started_ns = -1, 0
        self.pid, self.health = None, Health.NONE
        self._memory_exceeded, self._timed_out = "", False

    async def _restart_after(self, plan: RestartPlan, waiting: trio.CancelScope) -> None:
        self._short_runs = plan.short_runs
        if plan.is_crash_loop:
            await self._step(S.CRASH_LOOP, EventKind.CRASH_LOOP, f"next start in {plan.delay:g} s")
        with waiting:
            await trio.sleep(plan.delay)
        if waiting.cancel_called:
            return
        self._waiting = None
        self.record = replace(self.record, restarts=self.record.restarts + 1)
        with suppress(KwhostError, OSError):  # told by the journal already, with what follows
            await self._begin(None)

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None
            self.changed.ring()

    # Requests.

    async def refuse(self, why: str) -> None:
        """It was to be started and cannot be; nothing where its state tells that already."""
        if self.record.state is S.CREATED:
            await self._step(
                S.FAILED,
                EventKind.FAILED,
                why,
                desired="stopped",
                reason=EndReason.FAILED,
                exit_code=EXIT_INTERNAL,
                message=why,
            )

    async def stop(self, timeout: float | None = None) -> None:
        """Have it end, and return when it has; a restart that was due does not come."""
        if not self.is_live:
            await self._give_up_restart()
            return
        if self.record.state is not S.STOPPING:
            await self._step(S.STOPPING, EventKind.STOPPING, desired="stopped")
            self.spawn(self._stop, self.definition.stop_timeout if timeout is None else timeout)
        await self.wait_settled()

    async def _give_up_restart(self) -> None:
        waited = self._waiting is not None
        self._stop_waiting()
        if self.record.state is S.CRASH_LOOP:
            await self._step(S.EXITED, EventKind.EXITED, "its restarts were stopped", desired="stopped")
        elif waited or self.record.desired == "running":
            self.record = replace(self.record, desired="stopped")
            await self._around.journal.save(self.record)

    async def _stop(self, timeout: float) -> None:
        if self.group and self._frozen:
            self.group.thaw()
        await self.send(stop(math.ceil(timeout * 1000)))
        with trio.move_on_after(timeout + _KILL_SECONDS):
            while self.is_live:
                await self.changed.wait()
            return
        if self.group:
            await self.group.kill()

    async def kill(self, number: int) -> None:
        """Signal its program. SIGKILL counts as a stop: no restart follows."""
        if not self.is_live:
            raise Conflict(f"{self.record.name} does not run: it is {self.record.state.value}")
        if number == signal.SIGKILL:
            self.record = replace(self.record, desired="stopped")
            await self._around.journal.save(self.record)
            if self.group and self.record.state is S.PAUSED:
                self.group.thaw()
        await self.send(send_signal(number))

    async def pause(self) -> None:
        """Freeze it."""
        if self.record.state is not S.RUNNING:
            raise Conflict(f"{self.record.name} is {self.record.state.value}: only what runs can be paused")
        if self.group is None:
            raise Conflict(f"{self.record.name} does not run")
        await self.group.freeze()
        self._frozen = True
        await self._step(S.PAUSED, EventKind.PAUSED)

    async def resume(self) -> None:
        """Let it go on."""
        if self.record.state is not S.PAUSED or self.group is None:
            raise Conflict(f"{self.record.name} is {self.record.state.value}, not paused")
        self.group.thaw()
        self._frozen = False
        await self._step(S.RUNNING, EventKind.RESUMED)

    async def send(self, message: bytes, fds: tuple[int, ...] = ()) -> bool:
        """Send a control message; False where nobody takes it any more."""
        return bool(self._control and await self._control.send(message, fds))

    async def wait_exit(self) -> int:
        """Wait for the end of the present run; its exit status."""
        run = self.record.started
        while self.is_live and self.record.started == run:
            await self.changed.wait()
        return EXIT_INTERNAL if self.record.exit_code is None else self.record.exit_code

    async def ask_for_log(self) -> None:
        """Have the next line of the log ring `logged`."""
        await self.send(watch_log())

    async def wait_settled(self) -> None:
        """Wait until it does not run and will not be started again by itself."""
        while not self.is_settled:
            await self.changed.wait()


async def _discard(stream: trio.abc.ReceiveStream) -> None:
    with suppress(trio.BrokenResourceError):
        while await stream.receive_some(_DISCARDED):
            pass


async def _reap(launch: Launch) -> None:
    """Wait for a `supervise` that this process started; it ends right after it hung up."""
    if launch.process.poll() is None:
        pidfd = os.pidfd_open(launch.process.pid)
        try:
            await trio.lowlevel.wait_readable(pidfd)
        finally:
            os.close(pidfd)
    launch.process.wait()
