"""The health of one hosted instance's run, by the check that its definition or its image has at the time."""

from typing import Protocol

import trio

from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.model.definition import Healthcheck, InstanceDefinition
from kwhost.core.model.events import EventKind
from kwhost.core.model.status import Health, InstanceState
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.attachment import InstanceAttachment
from kwhost.core.supervise.bell import Bell
from kwhost.core.supervise.health import watch_health
from kwhost.core.supervise.hosting import ExecRequest
from kwhost.core.supervise.journal import Journal
from kwhost.core.supervise.run import InstanceRun
from kwhost.core.supervise.run_image import RunImage
from kwhost.core.supervise.session import ExecSession, discard_output

__all__ = ["InstanceHealth"]


class _Instance(Protocol):
    record: InstanceRecord
    run: InstanceRun | None
    changed: Bell
    attachment: InstanceAttachment
    image: RunImage

    @property
    def definition(self) -> InstanceDefinition: ...

    async def execute(self, request: ExecRequest) -> ExecSession: ...


class InstanceHealth:
    """Of `instance`; see health.Probed."""

    def __init__(self, instance: _Instance, journal: Journal) -> None:
        self._instance = instance
        self._journal = journal

    def begin(self) -> None:
        """The run's program has started; said before anybody takes it for ready."""
        if self._instance.run and self._check():
            self._instance.run.health = Health.STARTING

    def _check(self) -> Healthcheck | None:
        return self._instance.image.healthcheck(self._instance.definition)

    def _present_check(self) -> Healthcheck | None:
        """Who is paused is not asked."""
        return None if self._instance.record.state is InstanceState.PAUSED else self._check()

    async def watch(self, dirs: InstanceDirs, started: float) -> None:
        """Until cancelled. `started` is in trio's time."""
        while True:
            check = self._present_check()
            if check is None:
                await self._instance.changed.wait()
                continue
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch_health, self, check, dirs, started)
                while self._present_check() == check:
                    await self._instance.changed.wait()
                nursery.cancel_scope.cancel()

    async def set_health(self, health: Health) -> None:
        """What the health check found out."""
        if self._instance.run:
            self._instance.run.health = health
            self._instance.changed.ring()
        kinds = {Health.HEALTHY: EventKind.HEALTHY, Health.UNHEALTHY: EventKind.UNHEALTHY}
        if health in kinds:
            await self._instance.attachment.serve(health)
            await self._journal.commit(self._instance.record, kinds[health])

    async def run_probe(self, command: tuple[str, ...]) -> int:
        """Run a health check's command inside; its exit status."""
        session = await self._instance.execute(ExecRequest(command=command))
        try:
            return await discard_output(session)
        finally:
            with trio.CancelScope(shield=True):
                await session.aclose()
