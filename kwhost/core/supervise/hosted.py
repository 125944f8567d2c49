"""One hosted instance: its life from creation to removal, over any number of runs.

The record is what the store keeps; `run` is the present run, if there is one. A state is taken at once and
written before anything else follows from it.
"""

import math
import signal
import time
from contextlib import suppress

import trio

from kwhost.core.abi.messages import send_signal, stop
from kwhost.core.errors import (
    EXIT_INTERNAL,
    EXIT_SIGNAL_BASE,
    EXIT_TIMEOUT,
    Conflict,
    KwhostError,
    LaunchError,
    LimitError,
    StoreError,
)
from kwhost.core.images.image import Image
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import EventKind
from kwhost.core.model.status import EndReason, InstanceState
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import ExitHistory, InstanceRecord
from kwhost.core.store.tables import EXITS_KEPT
from kwhost.core.supervise.attachment import InstanceAttachment
from kwhost.core.supervise.bare import plan_bare_exec
from kwhost.core.supervise.control import Control
from kwhost.core.supervise.ends import End, describe_end, end_of
from kwhost.core.supervise.held_limits import guest_tasks
from kwhost.core.supervise.hosting import ExecRequest, StdioFds
from kwhost.core.supervise.instance_health import InstanceHealth
from kwhost.core.supervise.launching import Start, find_image, launch_instance
from kwhost.core.supervise.life import InstanceLife
from kwhost.core.supervise.lifecycle import STARTABLE_STATES
from kwhost.core.supervise.planning import plan_exec, spec_of
from kwhost.core.supervise.policies import StartPolicy
from kwhost.core.supervise.protecting import is_bare
from kwhost.core.supervise.restart import RestartPlan, plan_restart
from kwhost.core.supervise.run import InstanceRun
from kwhost.core.supervise.session import ExecSession, start_exec
from kwhost.core.supervise.surroundings import Surroundings
from kwhost.core.supervise.turns import END_SECONDS, START_SECONDS, STARTS, STOPS

__all__ = ["POLICY_CHANGED", "HostedInstance"]

S = InstanceState

# What a change of the policy comes to, where it was made.
POLICY_CHANGED = "changed"
# Beyond the stop time-out, until `supervise` has reported the end; then its cgroup is killed.
_KILL_SECONDS = 5.0
# Between attempts at a restart that the store does not allow.
_LATER_SECONDS = 5.0


class HostedInstance(InstanceLife):
    """Methods that start or stop something return when it has happened; a caller that is cancelled
    meanwhile changes nothing about it."""

    def __init__(self, record: InstanceRecord, tenant: Tenant, around: Surroundings) -> None:
        super().__init__(record, tenant, around)
        self._short_runs = 0
        self._pausing = trio.Lock()
        self.attachment = InstanceAttachment(self, around.networks)
        self._kill_at = math.inf  # in trio's time, of what is stopping
        self._health = InstanceHealth(self, around.journal)

    # The beginning of a run.

    async def start(self, stdio: StdioFds | None = None) -> None:
        """Start it, and return once its program runs. Raises Conflict, LaunchError and what stands in
        the way on this host."""
        if self.is_leaving:
            raise Conflict(f"{self.record.name} is being removed")
        if self.record.state not in STARTABLE_STATES:
            raise Conflict(f"{self.record.name} is {self.record.state.value} already")
        self._stop_waiting()
        self._short_runs = 0
        await self._begin(self._digest_again, stdio)
        while self.record.state is S.STARTING:
            await self.changed.wait()
        if self.record.state is S.FAILED:
            raise LaunchError(self.record.message, self.record.exit_code or EXIT_INTERNAL)

    @property
    def _digest_again(self) -> str:
        """The image that somebody who starts it gets: what the configuration names is looked up by its name,
        any other instance stays what it was made of."""
        return "" if self.record.configured else self._dirs.read_image()

    async def _begin(self, digest: str, stdio: StdioFds | None = None, restarts: int | None = None) -> None:
        """With the image of this digest, or "": the one that its name means. Shielded: what was begun is
        finished, whether whoever asked for it waits or not."""
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
                restarts=self.record.restarts if restarts is None else restarts,
            )
            image: Image | None = None
            try:
                if not digest and self._dirs.read_image():
                    self._dirs.keep_image("")  # should this start fail, the next one has no other image
                engine = await self.choose_engine()
                confined = self.record.confined
                start = Start(self.record.id, self.definition, self.tenant, engine, digest, stdio, confined)
                image = await find_image(self._around, start)
                policy = await self.policy.prepare()
                if (addresses := await self.attachment.plan()) != self.record.addresses:
                    await self._note(addresses=addresses)
                async with (
                    self._around.volumes.using(self.record, self.tenant, image) as shown,
                    self._around.roots.using(self.record, self.tenant, image, self._is_starting) as root,
                ):
                    # Work that others share.
                    attached = await self.attachment.make()
                    start = start._replace(attached=attached, shown=shown, root=root)
                    if root.notice:
                        await self.on_notice(root.notice)
                    async with STARTS:
                        await self._launch(start, image, policy)
                        with trio.move_on_after(START_SECONDS):
                            while self.record.state is S.STARTING:
                                await self.changed.wait()
            except KwhostError as error:
                await self._end(End(EndReason.FAILED, error.exit_status, str(error)))
                raise
            finally:
                if image:
                    image.close()

    def _is_starting(self) -> bool:
        return self.record.state is S.STARTING

    async def _launch(self, start: Start, image: Image, policy: StartPolicy) -> None:
        try:
            launch = await launch_instance(self._around, start, image, policy)
        except BaseException:
            with trio.CancelScope(shield=True):
                await self.attachment.remove()
            raise
        self.image.begin(image)
        control = Control(launch.connection)
        driver, has_monitors = start.attached.driven.driver, self.has_monitors
        self.run = InstanceRun(self, launch.group, launch, control, driver, has_monitors=has_monitors)
        self.changed.ring()
        self.spawn(self._watch, self.run)
        await self.on_launched(launch)

    async def adopt(self) -> None:
        """Go on with what an earlier daemon left: a run, its end, or a start that was due."""
        await self._guard(self._adopt)

    async def _adopt(self) -> None:
        connection = self._dirs.connect() if self.is_live else None
        if not self.is_live or (connection is None and await self._is_unborn()):
            with suppress(KwhostError):  # the journal has told
                await self._begin(self._digest_again)
            return
        group = self._around.cgroups.instance(self.record.tenant, self.record.id)
        control = Control(connection) if connection else None
        driver = self.attachment.driver()
        self.run = run = InstanceRun(self, group, None, control, driver, has_monitors=self.has_monitors)
        self.image.adopt(self._dirs)
        if unknown := self.policy.adopt():
            await self.on_notice(unknown)
        if connection is None:
            await self._finish(run)
            return
        # The daemon may have been killed between the act and the note of it.
        with suppress(LimitError):  # without a freezer nothing is frozen
            if self.record.state is S.PAUSED:
                await group.freeze()
                run.frozen = True
            else:
                group.thaw()
        self.spawn(self._watch, run)

    async def _is_unborn(self) -> bool:
        """Whether the daemon was killed after it had noted the start, and before it did anything about it."""
        if self.record.state is not S.STARTING:
            return False
        found = self._dirs.read_exit()
        if found is None:
            return not self._dirs.exit_file.exists()
        told = await self._around.journal.store.exits(self.record.id, EXITS_KEPT)
        return any(entry.ended == found.ended_ns / 1e9 for entry in told)

    # A run.

    async def _watch(self, run: InstanceRun) -> None:
        try:
            await run.watch()
        except trio.Cancelled:
            run.close()
            raise
        await self._finish(run)

    async def on_running(self) -> None:
        """See run.RunWatcher."""
        self._health.begin()
        await self.attachment.running(self.run)
        if self.record.state is S.STARTING:
            await self._step(S.RUNNING, EventKind.STARTED, self.weakness, started=time.time(), root=self.root)
            return
        if self.run and self.run.is_adopted:
            await self._around.journal.commit(self.record, EventKind.ADOPTED)
            if self.record.state is S.STOPPING:
                self._stop_within(self.definition.stop_timeout)

    async def while_running(self) -> None:
        """See run.RunWatcher."""
        await self._guard(self._while_running)

    async def _while_running(self) -> None:
        run = self.run
        assert run
        ran = max(0.0, time.time() - (self.record.started or time.time()))
        async with trio.open_nursery() as nursery:
            if self.definition.timeout is not None:
                nursery.start_soon(run.end_after, self.definition.timeout - ran)
            nursery.start_soon(self._guard, self._health.watch, self._dirs, trio.current_time() - ran)
            nursery.start_soon(self._guard, self.policy.log.run)
            nursery.start_soon(self._guard, self.refresh_policy)

    async def execute(self, request: ExecRequest) -> ExecSession:
        """Start a further program inside. Raises Conflict, LaunchError, UsageError."""
        if self.record.state is not S.RUNNING:
            raise Conflict(f"{self.record.name} is {self.record.state.value}: nothing can be run in it")
        spec = spec_of(self.definition, self.tenant.isolation)
        plan = plan_exec(
            spec,
            await self.image.for_program(spec),
            user=request.user,
            workdir=request.workdir,
            environment=request.environment,
            terminal=request.terminal is not None,
        )
        if is_bare(self.record.protections):
            plan = plan_bare_exec(plan, self.record.id, spec.environment | request.environment)
        return await start_exec(self._dirs, request, plan, self.record.engine)

    # The end of a run.

    async def _finish(self, run: InstanceRun) -> None:
        """`supervise` is gone: say how the run ended, clean up, and see what follows."""
        with trio.CancelScope(shield=True):
            end = self._describe(run)
            found = self._dirs.read_exit()
            started = found.started_ns / 1e9 if found and found.started_ns else self.record.started
            self.counted = run.statistics()
            await self._guard(self.policy.end, run)
            try:
                await run.clean()
            except LimitError as error:  # the next daemon tries again
                await self.on_notice(str(error))
            await self.attachment.remove()
            if not self.has_monitors:
                await self._sweep()
            self._dirs.remove_run()
            await self._remove_root()
            self.run = None
            await self._end(
                end,
                started=None if end.reason is EndReason.FAILED else started,
                ended=found.ended_ns / 1e9 if found else None,
            )

    async def _remove_root(self) -> None:
        try:
            await self._around.roots.remove_of(self.record.tenant, self.record.id)
        except KwhostError as error:  # the next daemon tries again
            await self.on_notice(str(error))

    def _describe(self, run: InstanceRun) -> End:
        found = self._dirs.read_exit()
        if found is None and self.record.started is None:
            return self._describe_unstarted(run)
        end = end_of(found)
        if run.timed_out:
            return End(EndReason.TIMEOUT, EXIT_TIMEOUT, f"ran for longer than {self.definition.timeout:g} s")
        if end.reason is EndReason.MEMORY:
            return end._replace(message=run.memory_exceeded or end.message)
        killed = end.exit_code == EXIT_SIGNAL_BASE + signal.SIGKILL
        if killed and run.group.usage().oom_kills:
            return end._replace(reason=EndReason.MEMORY, message="used more memory than its limit")
        if end.reason is EndReason.EXITED and self.record.desired != "running":
            return end._replace(reason=EndReason.STOPPED)
        return end

    def _describe_unstarted(self, run: InstanceRun) -> End:
        """Where no `supervise` said how the start went."""
        if run.group.usage().oom_kills:
            return End(EndReason.FAILED, EXIT_INTERNAL, "its limit of memory is too small to start it")
        if not run.is_adopted:
            return end_of(None)
        reason = EndReason.LOST if self.record.desired == "running" else EndReason.STOPPED
        return End(reason, None, "the daemon was killed while it was being started")

    async def _end(self, end: End, *, started: float | None = None, ended: float | None = None) -> None:
        """Take the state after a run, and plan the next one."""
        ended = ended or time.time()
        self.log_mark += 1
        self.logged.ring()
        if self.record.state is S.STARTING and started:
            # It ran so shortly that its start was not seen.
            await self._step(S.RUNNING, EventKind.STARTED, self.weakness, started=started, root=self.root)
        plan = None
        if self.record.desired == "running":
            ran = max(0.0, ended - started) if started else 0.0
            policy = self.definition.restart
            plan = plan_restart(policy, end.reason, end.exit_code, ran=ran, short_runs=self._short_runs)
        waiting = self._waiting = trio.CancelScope() if plan else None  # from now on it is not settled
        failed = end.reason in (EndReason.FAILED, EndReason.LOST)
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
            desired="running" if plan else "stopped",
            ended=ended,
            exit_code=end.exit_code,
            reason=end.reason,
            message=end.message,
        )
        if plan and waiting:
            self.spawn(self._restart_after, plan, waiting)

    async def _restart_after(self, plan: RestartPlan, waiting: trio.CancelScope) -> None:
        self._short_runs = plan.short_runs
        if plan.is_crash_loop and not waiting.cancel_called:
            await self._step(S.CRASH_LOOP, EventKind.CRASH_LOOP, f"next start in {plan.delay:g} s")
        with waiting:
            await trio.sleep(plan.delay)
        if waiting.cancel_called:
            return
        self._waiting = None
        try:
            await self._begin(self._dirs.read_image(), restarts=self.record.restarts + 1)
        except StoreError:  # it may be writable again by then
            if self.record.desired == "running":
                waiting = self._waiting = trio.CancelScope()
                self.spawn(self._restart_after, RestartPlan(_LATER_SECONDS, 0), waiting)
        except KwhostError:
            pass  # the journal has told, with what follows

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None
            self.changed.ring()

    # Requests.

    async def stop(self, timeout: float | None = None) -> None:
        """Have it end, and return when it has; a restart that was due does not come."""
        if not self.is_live:
            self._stop_waiting()
            if self.record.state is S.CRASH_LOOP:
                await self._step(S.EXITED, EventKind.EXITED, "no restart any more", desired="stopped")
            elif self.record.desired == "running":
                await self._note(desired="stopped")
            return
        if self.record.state is not S.STOPPING:
            self._kill_at = math.inf
            await self._step(S.STOPPING, EventKind.STOPPING, desired="stopped")
        self._stop_within(self.definition.stop_timeout if timeout is None else timeout)
        while self.record.state is S.STOPPING:
            await self.changed.wait()

    def _stop_within(self, timeout: float) -> None:
        """See to its end; nothing if whoever asked before had no more patience."""
        kill_at = trio.current_time() + timeout
        if kill_at < self._kill_at:
            self._kill_at = kill_at
            self.spawn(self._stop, timeout)

    async def _stop(self, timeout: float) -> None:
        while self.run is None and self.is_live:  # it is being launched
            await self.changed.wait()
        run = self.run
        if run is None:
            return
        run.thaw()
        async with STOPS:
            await run.send(stop(math.ceil(timeout * 1000), self.image.settings.stop_signal or 0))
            with trio.move_on_after(END_SECONDS):
                await run.cleaned.wait()  # not until it is detached, which is work that others share
        with trio.move_on_after(timeout + _KILL_SECONDS):
            await self._wait_gone(run)
            return
        await run.group.kill()

    async def _wait_gone(self, run: InstanceRun) -> None:
        while self.run is run:
            await self.changed.wait()

    def _present_run(self) -> InstanceRun:
        if self.run is None:
            raise Conflict(f"{self.record.name} does not run: it is {self.record.state.value}")
        return self.run

    async def kill(self, number: int) -> None:
        """Signal its program. SIGKILL counts as a stop: no restart follows."""
        run = self._present_run()
        if number == signal.SIGKILL:
            await self._note(desired="stopped")
            run.thaw()
        await run.send(send_signal(number))

    async def pause(self) -> None:
        """Freeze it. Raises Conflict, LimitError where this host has no freezer."""
        async with self._pausing:
            run = self._present_run()
            self._check_running(run)
            try:
                await run.group.freeze()
            except LimitError:  # its group may have gone with it
                self._check_running(run)
                raise
            run.frozen = True
            if self.record.state is not S.RUNNING:  # it was asked to stop meanwhile
                run.thaw()
            self._check_running(run)
            await self._step(S.PAUSED, EventKind.PAUSED)

    def _check_running(self, run: InstanceRun) -> None:
        if run.is_over:
            raise Conflict(f"{self.record.name} has just ended")
        if self.record.state is not S.RUNNING:
            raise Conflict(f"{self.record.name} is {self.record.state.value}: only what runs can be paused")

    async def resume(self) -> None:
        """Let it go on. Raises Conflict."""
        run = self._present_run()
        if self.record.state is not S.PAUSED:
            raise Conflict(f"{self.record.name} is {self.record.state.value}, not paused")
        run.thaw()
        await self._step(S.RUNNING, EventKind.RESUMED)

    async def redefine(self, definition: InstanceDefinition, *, start: bool = False) -> None:
        """Make it something else; the present run goes on, within the new limits. With `start` there is none,
        and one is to follow."""
        desired = "running" if start else self.record.desired
        await self.attachment.change(definition)
        await self._note(definition=definition, desired=desired)
        self.changed.ring()
        if self.run and not self.run.is_over:
            self.run.group.update(definition.limits, guest_tasks(definition, self.record.engine))

    async def refresh_policy(self, *, ask_plugins: bool = False) -> str:
        """Have what is configured now hold: POLICY_CHANGED, "" for no change, or why it cannot be, which
        the journal tells too."""
        try:
            if not await self.policy.refresh(ask_plugins=ask_plugins):
                return ""
        except KwhostError as error:
            await self.tell(EventKind.POLICY, str(error), {})
            return str(error)
        await self.tell(EventKind.POLICY, POLICY_CHANGED, {})
        return POLICY_CHANGED

    async def wait_exit(self) -> int:
        """Wait for the end of the present run; its exit status."""
        run = self.run
        while self.run is run is not None:
            await self.changed.wait()
        return EXIT_INTERNAL if self.record.exit_code is None else self.record.exit_code

    async def wait_settled(self) -> None:
        """Wait until it does not run and will not be started again by itself."""
        while not self.is_settled:
            await self.changed.wait()
