"""The life of a hosted instance as its record tells it: states, the steps between them, what is known of it.

What goes on during a run, and in between, is hosted.HostedInstance.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from kwhost.core.abi.messages import Event
from kwhost.core.engines.bare import BARE_WARNING, sweep
from kwhost.core.errors import EXIT_INTERNAL, HostError, StoreError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import EventKind
from kwhost.core.model.floors import engine_label, isolation_of, meets
from kwhost.core.model.instance import Engine, Isolation
from kwhost.core.model.network import NO_NETWORK
from kwhost.core.model.policy import CallChoice
from kwhost.core.model.status import EndReason, Health, InstanceState, InstanceStatus
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import ExitHistory, InstanceRecord
from kwhost.core.supervise.bell import Bell
from kwhost.core.supervise.choosing import choose_engine
from kwhost.core.supervise.lifecycle import LIVE_STATES, check_step
from kwhost.core.supervise.policies import InstancePolicy
from kwhost.core.supervise.protecting import is_bare
from kwhost.core.supervise.run_image import RunImage
from kwhost.core.supervise.surroundings import Surroundings

if TYPE_CHECKING:
    from kwhost.core.model.statistics import InstanceStatistics
    from kwhost.core.supervise.launching import Launch
    from kwhost.core.supervise.run import InstanceRun

__all__ = ["InstanceLife"]


class InstanceLife:
    """A state is taken at once, and written before anything else follows from it. `changed` rings at every
    change of state or health, `logged` when there may be something new in the log."""

    def __init__(self, record: InstanceRecord, tenant: Tenant, around: Surroundings) -> None:
        self.record = record
        self.tenant = tenant
        self.run: InstanceRun | None = None
        self.counted: InstanceStatistics | None = None  # in the last run
        self.changed = Bell()
        self.logged = Bell()
        self.log_mark = 1
        self.is_leaving = False  # it is being removed, or is removed: nothing starts it any more
        self._around = around
        self._dirs = around.dirs(record.id)
        self.image = RunImage(around)
        self.root = record.root
        self._nursery: trio.Nursery | None = None
        self.policy = InstancePolicy(self, self._dirs, around.policies, around.questions)
        self._waiting: trio.CancelScope | None = None  # until the next start, after an end

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

    @property
    def has_monitors(self) -> bool:
        """They count all that its programs do."""
        return isolation_of(self.record.engine) is not Isolation.PROCESS

    @property
    def weakness(self) -> str:
        """What is told of its engine where that is weaker than a virtual machine."""
        isolation = isolation_of(self.record.engine)
        weak = isolation is Isolation.PROCESS
        return engine_label(self.record.engine, isolation.value) if weak else ""

    @property
    def is_below_floor(self) -> bool:
        """It runs with less isolation than its tenant now asks for."""
        return self.is_live and not meets(isolation_of(self.record.engine), self.tenant.isolation)

    @property
    def health(self) -> Health:
        """Of the present run."""
        return self.run.health if self.run else Health.NONE

    def status(self) -> InstanceStatus:
        """One line of `ps`."""
        record, definition = self.record, self.definition
        return InstanceStatus(
            id=record.id,
            name=record.name,
            tenant=record.tenant,
            engine=record.engine,
            isolation=isolation_of(record.engine).value,
            state=record.state,
            health=self.health,
            pid=self.run.pid if self.run else None,
            image=definition.rootfs or definition.image,
            command=self.image.command(definition),
            created=record.created,
            started=record.started,
            ended=record.ended,
            exit_code=record.exit_code,
            reason=record.reason,
            message=record.message,
            restarts=record.restarts,
            network=definition.network or NO_NETWORK,
            addresses=(record.addresses.address4, record.addresses.address6) if record.addresses else (),
            mac=record.addresses.mac if record.addresses else None,
            ports=tuple(str(port) for port in definition.ports),
            protections=None if self.has_monitors else record.protections,
            root=self.root,
        )

    # Its task.

    async def hold(
        self, *, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Own everything that goes on about the instance, until the scope that it starts with is cancelled;
        the instance's processes go on."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started(nursery.cancel_scope)
            await trio.sleep_forever()

    def spawn(self, function: Any, *arguments: Any) -> None:
        """Have something done that outlives whoever asked for it."""
        assert self._nursery
        self._nursery.start_soon(self._guard, function, *arguments)

    async def _guard(self, function: Any, *arguments: Any) -> None:
        try:
            await function(*arguments)
        except Exception as error:  # noqa: BLE001 - a failure never leaves the instance's nursery
            self._around.journal.report_fault(self.record, error)

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
        """Take a state, and keep it with the event that tells of it. With `must` nothing has changed where
        that raises StoreError."""
        check_step(self.record.state, state)
        before, self.record = self.record, replace(self.record, state=state, **changes)
        self.changed.ring()
        try:
            await self._around.journal.commit(self.record, kind, text, ended=ended_run, must=must)
        except StoreError:
            self.record = before
            self.changed.ring()
            raise

    async def _note(self, **changes: Any) -> None:
        """Keep a change that is no step."""
        self.record = replace(self.record, **changes)
        await self._around.journal.save(self.record)

    async def keep_choices(self, choices: tuple[CallChoice, ...]) -> None:
        """Keep what operators chose for calls."""
        await self._note(choices=choices)

    async def send(self, message: bytes, fds: tuple[int, ...] = ()) -> bool:
        """Send a control message; False where nobody takes it any more."""
        return bool(self.run and await self.run.send(message, fds))

    async def tell(self, kind: EventKind, text: str, data: Mapping[str, str]) -> None:
        """Keep an event about it."""
        await self._around.journal.commit(self.record, kind, text, data=data)

    async def refuse(self, why: str) -> None:
        """It was to be started and cannot be; nothing where its state tells that already."""
        if self.is_leaving or self.is_live:
            return
        if self.record.state is not InstanceState.CREATED:
            await self._note(desired="stopped")
            self.changed.ring()
        else:
            await self._step(
                InstanceState.FAILED,
                EventKind.FAILED,
                why,
                desired="stopped",
                reason=EndReason.FAILED,
                exit_code=EXIT_INTERNAL,
                message=why,
            )

    async def choose_engine(self) -> Engine:
        """The one for this start: KVM, or the tenant's isolation, may have changed since the last."""
        choice = choose_engine(self.definition.engine, self.tenant.isolation)
        if self.record.engine != choice.engine.value:
            await self._note(engine=choice.engine.value)
        if choice.warning:
            await self.on_notice(choice.warning)
        return choice.engine

    async def _sweep(self) -> None:
        """What nobody ended and removed, where the instance had no namespaces."""
        try:
            await trio.to_thread.run_sync(sweep, self.record.id, self.definition.rootfs)
        except HostError as error:
            await self.on_notice(str(error))

    # What it tells while it runs.

    async def on_launched(self, launch: "Launch") -> None:
        """Keep what protects it, and tell of what is weaker than asked for."""
        self.root = launch.root  # kept with the next step
        if launch.protections != self.record.protections:
            await self._note(protections=launch.protections)
        if is_bare(launch.protections):
            await self.on_notice(BARE_WARNING)
        for notice in launch.approximate:
            await self.on_notice(notice)

    async def on_notice(self, text: str) -> None:
        """See run.RunWatcher."""
        await self._around.journal.commit(self.record, EventKind.NOTICE, text)

    def on_logged(self) -> None:
        """See run.RunWatcher."""
        self.log_mark += 1
        self.logged.ring()

    async def on_policy(self, event: Event) -> None:
        """See run.RunWatcher."""
        await self.policy.on_event(event)
