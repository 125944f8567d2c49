"""All tenants and instances of a host: the operations of hosting.Hosting, and their tasks.

One nursery for each tenant, and in it one for each instance: a failure of one never reaches another.
"""

import time
from collections.abc import Awaitable, Callable, Container, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio

from kwhost.core.errors import Conflict, KwhostError, NotFound, QuotaExceeded
from kwhost.core.model.connections import Connections
from kwhost.core.model.daemon import ProcessEntry
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import AuditRecord, EventKind, EventPage
from kwhost.core.model.ids import DEFAULT_TENANT, InstanceId, TenantName, new_instance_id
from kwhost.core.model.instance import Engine
from kwhost.core.model.memory import InstanceMemory
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.model.status import InstanceState, InstanceStatus, TenantStatus, Usage
from kwhost.core.model.storage import InstanceStorage
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import Desired, InstanceRecord
from kwhost.core.supervise.admission import check_admission, quota_use
from kwhost.core.supervise.choosing import choose_engine
from kwhost.core.supervise.connections import list_connections
from kwhost.core.supervise.hosted import HostedInstance
from kwhost.core.supervise.hosted_policies import HostedPolicies
from kwhost.core.supervise.hosting import NO_SECRETS, ExecRequest, Session, StdioFds
from kwhost.core.supervise.lookup import find_record
from kwhost.core.supervise.memory import read_memory
from kwhost.core.supervise.processes import list_processes
from kwhost.core.supervise.session import AttachedSession, Pipes
from kwhost.core.supervise.storage_view import read_storage
from kwhost.core.supervise.surroundings import Surroundings
from kwhost.core.supervise.tenant_status import tenant_status
from kwhost.core.supervise.usage import measure

__all__ = ["DEFAULT_TENANT", "HostSupervisor"]

# Asks plugins whether an instance may be: a reason against it, or None.
Admit = Callable[[Tenant, InstanceDefinition], Awaitable[str | None]]


class _Fitting(NamedTuple):
    """What a new instance's tenant, engine and network are."""

    tenant: Tenant
    engine: Engine
    network: str


class HostSupervisor:
    """Most of hosting.Hosting; what concerns the daemon as a whole is core.daemon's."""

    def __init__(self, around: Surroundings, tenants: Mapping[TenantName, Tenant], admit: Admit) -> None:
        self._around = around
        self._admit = admit
        self._tenants = {DEFAULT_TENANT: Tenant(name=DEFAULT_TENANT), **tenants}
        self._instances: dict[InstanceId, HostedInstance] = {}
        self._nurseries: dict[TenantName, trio.Nursery] = {}
        self._scopes: dict[InstanceId, trio.CancelScope] = {}
        self._root: trio.Nursery | None = None
        self._closing = False
        self._readers = trio.CapacityLimiter(1)
        self.volumes = around.volumes
        self.images = around.images
        self.volumes.records = self.images.records = self._records
        self.volumes.quota = self.images.quota = self._storage
        private = around.roots.private
        private.records, private.quota = self._records, self._storage
        self.policies = HostedPolicies(around.policies, around.questions, self.instance)

    def _records(self) -> list[InstanceRecord]:
        return [instance.record for instance in self._instances.values()]

    # Tasks.

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the nurseries, until cancelled; instances go on without."""
        async with trio.open_nursery() as root:
            self._root = root
            root.start_soon(self._around.journal.run)
            task_status.started()
            await trio.sleep_forever()

    def spawn(self, function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Have something done while this runs. It handles its own failures."""
        assert self._root
        self._root.start_soon(function, *arguments)

    async def _nursery(self, tenant: TenantName) -> trio.Nursery:
        async def hold(*, task_status: trio.TaskStatus[trio.Nursery]) -> None:
            async with trio.open_nursery() as nursery:
                task_status.started(nursery)
                await trio.sleep_forever()

        if tenant not in self._nurseries:
            assert self._root
            self._nurseries[tenant] = await self._root.start(hold)
        return self._nurseries[tenant]

    async def _hold(self, instance: HostedInstance) -> None:
        """Give the instance a task of its own."""
        nursery = await self._nursery(instance.record.tenant)
        self._scopes[instance.record.id] = await nursery.start(instance.hold)
        self._instances[instance.record.id] = instance
        if instance.definition.auto_remove:
            self.spawn(self._remove_when_over, instance)

    async def recover(self, records: tuple[InstanceRecord, ...]) -> None:
        """Take over what an earlier daemon left, and remove what belongs to nobody."""
        await self.volumes.load()
        await self._around.roots.private.load()
        for record in records:
            tenant = self._tenants.get(record.tenant, Tenant(name=record.tenant))
            await self._hold(HostedInstance(record, tenant, self._around))
        await self._count_images()
        async with trio.open_nursery() as nursery:
            for instance in self._instances.values():
                if instance.is_live or instance.record.state is InstanceState.CRASH_LOOP:
                    nursery.start_soon(instance.adopt)
        live = frozenset(each.record.id for each in self._instances.values() if each.is_live)
        await self._around.remove_leftovers(frozenset(self._instances), live)
        self.spawn(self._repair_volumes)

    async def _count_images(self) -> None:
        try:
            await self.images.load()
        except KwhostError as error:
            await self._around.journal.tell(EventKind.NOTICE, f"images are not counted: {error}")

    async def _repair_volumes(self) -> None:
        """What is about to start may still need what an earlier daemon mounted for it."""
        for instance in self.hosted():
            while instance.record.state is InstanceState.STARTING:
                await instance.changed.wait()
        try:
            await self._around.roots.repair()
            await self.volumes.repair()
        except KwhostError as error:
            await self._around.journal.tell(EventKind.NOTICE, f"volumes were not repaired: {error}")

    # What there is.

    def set_tenants(self, tenants: Mapping[TenantName, Tenant]) -> None:
        """From a configuration that was read again."""
        self._tenants = {DEFAULT_TENANT: Tenant(name=DEFAULT_TENANT), **tenants}
        for instance in self._instances.values():
            instance.tenant = self._tenants.get(instance.record.tenant, instance.tenant)

    def configured_tenants(self) -> Mapping[TenantName, Tenant]:
        """See Hosting."""
        return self._tenants

    def tenants(self) -> tuple[TenantStatus, ...]:
        """See Hosting."""
        records = self._records()
        return tuple(
            tenant_status(self._tenants[name], records, self._kept(name)) for name in sorted(self._tenants)
        )

    def _storage(self, name: TenantName) -> tuple[int, int | None]:
        """What a tenant has in use of its storage, and what there is of it."""
        tenant = self._tenants.get(name, Tenant(name=name))
        of = [each.definition for each in self._instances.values() if each.record.tenant == name]
        return int(quota_use(tenant, of, self._kept(name))["storage"]), tenant.quota.storage

    def _kept(self, name: TenantName) -> int:
        """The bytes that a tenant has besides its instances."""
        return self.volumes.promised(name) + self.images.promised(name) + self._around.roots.promised(name)

    def instances(self) -> tuple[InstanceStatus, ...]:
        """See Hosting."""
        found = sorted(self._instances.values(), key=lambda each: (each.record.tenant, each.record.name))
        return tuple(instance.status() for instance in found)

    def find(self, reference: str, tenants: Container[TenantName] | None) -> InstanceStatus:
        """See Hosting."""
        records = (instance.record for instance in self._instances.values())
        return self._instances[find_record(records, reference, tenants).id].status()

    def hosted(self) -> list[HostedInstance]:
        """All instances, in no special order."""
        return list(self._instances.values())

    def instance(self, id: InstanceId) -> HostedInstance:  # noqa: A002 - as in Hosting
        """Raises NotFound."""
        try:
            return self._instances[id]
        except KeyError:
            raise NotFound(f"there is no instance {id!r} any more") from None

    def definition(self, id: InstanceId) -> InstanceDefinition:  # noqa: A002
        """See Hosting."""
        return self.instance(id).definition

    def usage(self, id: InstanceId) -> Usage:  # noqa: A002
        """See Hosting."""
        instance = self.instance(id)
        return measure(instance.run, instance.definition, self._around.networks.counts(id))

    async def count_traffic(self) -> None:
        """See Hosting."""
        await self._around.networks.count()

    def call_statistics(self, id: InstanceId) -> InstanceStatistics | None:  # noqa: A002
        """See Hosting."""
        instance = self.instance(id)
        return instance.run.statistics() if instance.run else instance.counted

    async def processes(self, id: InstanceId) -> tuple[ProcessEntry, ...]:  # noqa: A002
        """See Hosting."""
        return await trio.to_thread.run_sync(list_processes, self._first_pid(id))

    async def connections(self, id: InstanceId) -> Connections:  # noqa: A002
        """See Hosting."""
        return await trio.to_thread.run_sync(list_connections, self._first_pid(id))

    async def memory(self, id: InstanceId) -> InstanceMemory:  # noqa: A002
        """See Hosting. One at a time: it is a lot of text for who else needs the interpreter."""
        first = self._first_pid(id)
        read = partial(read_memory, first, has_monitors=self.instance(id).has_monitors)
        return await trio.to_thread.run_sync(read, limiter=self._readers)

    async def storage(self, id: InstanceId) -> InstanceStorage:  # noqa: A002
        """See Hosting."""
        instance, around = self.instance(id), self._around
        first = instance.run.pid if instance.run else None
        digest = around.dirs(id).read_image()
        read = partial(read_storage, instance.record.definition, digest, around.state_dir, first)
        return await trio.to_thread.run_sync(read, limiter=self._readers)

    def _first_pid(self, id: InstanceId) -> int:  # noqa: A002
        instance = self.instance(id)
        if instance.run is None or instance.run.pid is None:
            raise Conflict(f"{instance.record.name} does not run")
        return instance.run.pid

    # Instances.

    async def create(
        self,
        definition: InstanceDefinition,
        *,
        start: bool,
        confined: bool,
        configured: bool = False,
        secrets: Mapping[str, bytes] = NO_SECRETS,
    ) -> InstanceStatus:
        """See Hosting; `configured`: the configuration file has it."""
        # What is to run is started by the next daemon, if this one is killed before.
        desired: Desired = "running" if start or configured else "stopped"
        instance = await self._admit_new(
            definition, secrets, desired=desired, confined=confined, configured=configured
        )
        if start:
            try:
                await instance.start()
            except KwhostError:
                with suppress(KwhostError):  # what made the start fail is what matters
                    await self._remove(instance)
                raise
        return instance.status()

    def _check_new(self, definition: InstanceDefinition, *, confined: bool) -> _Fitting:
        """It may be."""
        self._check_open()
        tenant = self._tenants.get(definition.tenant)
        if tenant is None:
            raise NotFound(f"there is no tenant {definition.tenant!r}; kwhost tenant ls shows all")
        of_tenant = [each for each in self._instances.values() if each.record.tenant == tenant.name]
        if any(each.record.name == definition.name for each in of_tenant):
            raise Conflict(f"tenant {tenant.name} has an instance {definition.name} already; remove it first")
        present = [each.definition for each in of_tenant]
        check_admission(tenant, definition, present, self._kept(tenant.name))
        engine = choose_engine(definition.engine, tenant.isolation).engine
        self._around.policies.configured(tenant, definition, confined=confined)  # there are such policies
        network = self._around.networks.choose(tenant, definition, engine.value, confined=confined)
        return _Fitting(tenant, engine, network)

    def _check_open(self) -> None:
        if self._closing:
            raise Conflict("the daemon is about to end: nothing is started any more")

    async def _admit_new(
        self,
        definition: InstanceDefinition,
        secrets: Mapping[str, bytes],
        *,
        desired: Desired,
        confined: bool,
        configured: bool,
    ) -> HostedInstance:
        tenant, _, _ = self._check_new(definition, confined=confined)
        if reason := await self._admit(tenant, definition):
            raise QuotaExceeded(f"{definition.name} is not admitted: {reason}")
        tenant, engine, network = self._check_new(definition, confined=confined)  # others may have come
        definition = replace(definition, network=network)
        record = InstanceRecord(
            id=new_instance_id(),
            tenant=tenant.name,
            name=definition.name,
            definition=definition,
            desired=desired,
            state=InstanceState.CREATED,
            created=time.time(),
            engine=engine.value,
            configured=configured,
            confined=confined,
        )
        instance = HostedInstance(record, tenant, self._around)
        self._instances[record.id] = instance  # from here on the name is taken
        with trio.CancelScope(shield=True):
            await self._hold(instance)
            try:
                if secrets:
                    await trio.to_thread.run_sync(self._around.secrets.keep, record.id, secrets)
                await self._around.journal.commit(record, EventKind.CREATED, must=True)
            except KwhostError:
                self._drop(instance)
                await trio.to_thread.run_sync(self._around.secrets.remove, record.id)
                raise
        return instance

    async def start(self, id: InstanceId) -> None:  # noqa: A002
        """See Hosting."""
        self._check_open()
        await self.instance(id).start()

    async def stop(self, id: InstanceId, timeout: float | None) -> None:  # noqa: A002
        """See Hosting."""
        await self.instance(id).stop(timeout)

    async def kill(self, id: InstanceId, signal: int) -> None:  # noqa: A002
        """See Hosting."""
        await self.instance(id).kill(signal)

    async def pause(self, id: InstanceId) -> None:  # noqa: A002
        """See Hosting."""
        await self.instance(id).pause()

    async def resume(self, id: InstanceId) -> None:  # noqa: A002
        """See Hosting."""
        await self.instance(id).resume()

    async def restart(self, id: InstanceId, timeout: float | None) -> None:  # noqa: A002
        """See Hosting."""
        instance = self.instance(id)
        await instance.stop(timeout)
        await instance.start()

    async def remove(self, id: InstanceId, *, force: bool) -> None:  # noqa: A002
        """See Hosting."""
        instance = self.instance(id)
        if instance.is_live and not force:
            raise Conflict(
                f"{instance.record.name} is {instance.record.state.value}: stop it first, or use force"
            )
        await self._remove(instance)

    async def _remove(self, instance: HostedInstance) -> None:
        if instance.is_leaving:
            raise Conflict(f"{instance.record.name} is being removed already")
        instance.is_leaving = True
        try:
            await instance.stop(0)
            with trio.CancelScope(shield=True):
                await self._forget(instance)
        except BaseException:
            instance.is_leaving = instance.record.id not in self._instances
            raise

    async def prune(self) -> tuple[InstanceStatus, ...]:
        """See Hosting."""
        over = [instance for instance in self._instances.values() if _is_over(instance)]
        for instance in over:
            if _is_over(instance):  # it may have been started meanwhile
                await self._remove(instance)
        return tuple(instance.status() for instance in over if instance.record.id not in self._instances)

    async def _remove_when_over(self, instance: HostedInstance) -> None:
        """Of an instance whose record nobody wants to keep."""
        while not _is_over(instance):
            await instance.changed.wait()
            if instance.record.id not in self._instances:
                return
        with suppress(KwhostError):  # it is kept then; the journal has told why
            await self._remove(instance)

    async def _forget(self, instance: HostedInstance) -> None:
        await self._around.journal.remove(instance.record)
        self._drop(instance)
        await self.volumes.remove_of(instance.record.tenant, instance.record.id)
        await trio.to_thread.run_sync(self._around.dirs(instance.record.id).remove)
        await trio.to_thread.run_sync(self._around.secrets.remove, instance.record.id)

    def _drop(self, instance: HostedInstance) -> None:
        self._instances.pop(instance.record.id, None)
        if scope := self._scopes.pop(instance.record.id, None):
            scope.cancel()
        instance.changed.ring()
        instance.logged.ring()

    async def wait_end(self, id: InstanceId) -> InstanceStatus:  # noqa: A002
        """See Hosting."""
        instance = self.instance(id)
        await instance.wait_settled()
        return instance.status()

    # Programs' streams.

    async def execute(self, id: InstanceId, request: ExecRequest) -> Session:  # noqa: A002
        """See Hosting."""
        return await self.instance(id).execute(request)

    async def attach(self, id: InstanceId, *, stdin: bool, start: bool) -> Session:  # noqa: A002
        """See Hosting."""
        instance = self.instance(id)
        terminal = instance.definition.terminal
        pipes = Pipes(stdin=stdin, stderr=not terminal)
        session = AttachedSession(instance, pipes)
        try:
            if start:
                try:
                    await instance.start(_all_connected(pipes.theirs))
                finally:
                    pipes.close_theirs()
            else:
                await session.connect(stdin=stdin)
        except BaseException:
            with trio.CancelScope(shield=True):
                await session.aclose()
            raise
        return session

    # Logs.

    def log_directory(self, id: InstanceId) -> Path:  # noqa: A002
        """See Hosting."""
        self.instance(id)
        return self._around.dirs(id).state

    async def wait_log(self, id: InstanceId, mark: int) -> int | None:  # noqa: A002
        """See Hosting."""
        instance = self.instance(id)
        while mark == instance.log_mark:
            if instance.is_settled or id not in self._instances:
                return None
            if instance.run:
                await instance.run.ask_for_log()
            await instance.logged.wait()
        return instance.log_mark

    # What happened.

    def last_event(self) -> int:
        """See Hosting."""
        return self._around.journal.last

    async def events(
        self,
        after: int,
        tenants: Container[TenantName] | None,
        limit: int,
        instance: InstanceId | None = None,
    ) -> EventPage:
        """See Hosting."""
        return await self._around.journal.store.events(after, limit, tenants=tenants, instance=instance)

    async def newest_events(
        self, count: int, tenants: Container[TenantName] | None, instance: InstanceId | None
    ) -> int:
        """See Hosting."""
        return await self._around.journal.store.newest_events(count, tenants=tenants, instance=instance)

    async def wait_event(self, after: int) -> None:
        """See Hosting."""
        while self._around.journal.last <= after:
            await self._around.journal.bell.wait()

    async def audit(self, limit: int, instance: InstanceId | None = None) -> tuple[AuditRecord, ...]:
        """See Hosting."""
        return await self._around.journal.store.audit(limit, instance)


def _is_over(instance: HostedInstance) -> bool:
    """It has ended, and nobody wants to see it run again."""
    begun = instance.record.state is not InstanceState.CREATED
    return begun and instance.is_settled and not (instance.record.configured or instance.is_leaving)


def _all_connected(fds: StdioFds) -> StdioFds:
    """A terminal's session has one output; the same descriptor stands for the other."""
    return fds._replace(stderr=fds.stderr if fds.stderr >= 0 else fds.stdout)
