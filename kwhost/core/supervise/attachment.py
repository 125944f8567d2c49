"""One instance's way into its network, over any number of runs. What fails after the start is told."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Protocol

from kwhost.core.errors import KwhostError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.network import InstanceAddresses
from kwhost.core.model.status import Health
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.driver import NetworkDriver
from kwhost.core.supervise.networking import Attached, Networks
from kwhost.core.supervise.run import InstanceRun

__all__ = ["InstanceAttachment"]


class _Instance(Protocol):
    record: InstanceRecord
    tenant: Tenant

    async def on_notice(self, text: str) -> None: ...


class InstanceAttachment:
    """Of `instance`, by `networks`."""

    def __init__(self, instance: _Instance, networks: Networks) -> None:
        self._instance = instance
        self._networks = networks

    async def plan(self) -> InstanceAddresses | None:
        """The addresses of its next run. Raises Conflict, NetworkError."""
        return await self._networks.plan(self._instance.record, self._instance.tenant)

    async def make(self) -> Attached:
        """For a run that is to begin. Raises KwhostError, with nothing left behind."""
        attached = await self._networks.attach(self._instance.record, self._instance.tenant)
        if attached.driven.lacking:
            await self._instance.on_notice(attached.driven.lacking)
        return attached

    def driver(self) -> NetworkDriver | None:
        """What drives its network in a run that an earlier daemon began, if it needs that."""
        return self._networks.driver(self._instance.record, self._instance.tenant)

    async def change(self, definition: InstanceDefinition) -> None:
        """As it is to be defined. Raises Conflict, NetworkError: then nothing has changed."""
        await self._networks.redefine(replace(self._instance.record, definition=definition))

    async def running(self, run: InstanceRun | None) -> None:
        """Its processes are known: ports can lead to it."""
        if run is None or run.pid is None:
            return
        record = self._instance.record
        if run.is_adopted:
            await self._tell(self._networks.adopt(record, self._instance.tenant, run.pid))
        await self._tell(self._networks.running(record.id, run.pid))

    async def serve(self, health: Health) -> None:
        """What its health check found."""
        serving = health is Health.HEALTHY
        await self._tell(self._networks.serve(self._instance.record.id, healthy=serving))

    async def remove(self) -> None:
        """After the end of a run; upkeep tries again."""
        await self._tell(self._networks.detach(self._instance.record))

    async def _tell(self, work: Awaitable[None]) -> None:
        try:
            await work
        except KwhostError as error:
            await self._instance.on_notice(str(error))
