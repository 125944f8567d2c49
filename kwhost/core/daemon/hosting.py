"""The operations behind the API that concern the daemon as a whole: reload, shutdown, what it is."""

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from pathlib import Path

import trio

from kwhost import __version__
from kwhost.core.cgroups.groups import Cgroups
from kwhost.core.config.configuration import Configuration
from kwhost.core.config.difference import Difference, compare
from kwhost.core.config.tables import nearest
from kwhost.core.daemon.history import Histories
from kwhost.core.daemon.networks import DaemonNetworks
from kwhost.core.daemon.policies import DaemonPolicies
from kwhost.core.engines.bare import scratch_path
from kwhost.core.engines.kvm_device import open_kvm
from kwhost.core.errors import Conflict, KvmError, KwhostError, NetworkError, NotFound, StoreError
from kwhost.core.model.daemon import Changes, DaemonInfo, PluginStatus
from kwhost.core.model.definition import InstanceDefinition, Limits
from kwhost.core.model.events import EventKind
from kwhost.core.model.history import History
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.network import PublishedPort
from kwhost.core.model.status import InstanceState
from kwhost.core.pluginmgr.manager import Plugins
from kwhost.core.policy.configured import configured_policies, load_hosting
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.applying import start_in_order, stop_in_order
from kwhost.core.supervise.archive import Copied, FileCopies
from kwhost.core.supervise.host import HostSupervisor
from kwhost.core.supervise.hosted import POLICY_CHANGED, HostedInstance
from kwhost.core.supervise.lifecycle import LIVE_STATES
from kwhost.core.supervise.protecting import is_bare
from kwhost.core.supervise.surroundings import Surroundings

__all__ = ["DaemonHosting"]

_EVERY_LIMIT = Limits(memory=1 << 30, cpus=1.0, pids=100)


class DaemonHosting(HostSupervisor):
    """All of hosting.Hosting. `stopped` is set once the daemon is to end."""

    def __init__(
        self,
        around: Surroundings,
        configuration: Configuration,
        plugins: Plugins,
        policies: DaemonPolicies,
        networks: DaemonNetworks,
    ) -> None:
        tenants = {tenant.name: tenant for tenant in configuration.tenants}
        super().__init__(around, tenants, plugins.admit)
        self.stopped = trio.Event()
        self._configuration = configuration
        self._plugins = plugins
        self._policies = policies
        self._started = time.time()
        self._applying = trio.Lock()
        self._copies = FileCopies()
        self._histories = Histories()
        self._networks = networks
        networks.records = lambda: (instance.record for instance in self.hosted())
        self.images.private = around.roots.private.tenants_of

    # What it is.

    def info(self) -> DaemonInfo:
        """See Hosting."""
        instances = self.instances()
        return DaemonInfo(
            version=__version__,
            pid=os.getpid(),
            started=self._started,
            state_dir=str(self._around.state_dir),
            run_dir=str(self._around.run_dir),
            configuration=str(self._configuration.source),
            cgroups=self._around.cgroups.kind,
            kvm=_kvm_state(),
            tenants=len(self.configured_tenants()),
            instances=len(instances),
            running=sum(status.state is InstanceState.RUNNING for status in instances),
            lacking=_lacking(self._around.cgroups),
            insecure_registries=self._configuration.host.insecure_registries,
        )

    def plugins(self) -> tuple[PluginStatus, ...]:
        """See Hosting."""
        return self._plugins.statuses()

    def history(self, id: InstanceId) -> History:  # noqa: A002 - as in Hosting
        """See Hosting."""
        return self._histories.of(self.instance(id).record.id)

    # The beginning.

    async def recover(self, records: tuple[InstanceRecord, ...]) -> None:
        """See HostSupervisor; what is attached to networks stays so."""
        self._networks.expect(
            record.id for record in records if record.addresses and record.state in LIVE_STATES
        )
        self.spawn(self._networks.run, records)
        self.spawn(self._histories.keep, self)
        self.spawn(self._repair_images)
        await super().recover(records)

    async def _repair_images(self) -> None:
        try:
            await self.images.repair()
        except KwhostError as error:
            await self._around.journal.tell(EventKind.NOTICE, f"images were not repaired: {error}")

    async def _forget(self, instance: HostedInstance) -> None:
        digest = self._around.dirs(instance.record.id).read_image()
        await super()._forget(instance)
        await self._around.roots.let_go(instance.record.tenant)
        if digest:
            self.spawn(self._let_go, instance.record.tenant, digest)

    async def _let_go(self, tenant: TenantName, digest: str) -> None:
        try:
            await self.images.let_go(tenant, digest)
        except KwhostError as error:
            await self._around.journal.tell(EventKind.NOTICE, f"an image was not removed: {error}")

    # The configuration.

    async def reload(self) -> Changes:
        """See Hosting."""
        configuration = await trio.to_thread.run_sync(load_hosting, self._configuration.source)
        self.configure_plugins(configuration)
        return await self.apply(configuration)

    def configure_plugins(self, configuration: Configuration) -> None:
        """Check and apply the plugins' sections. Raises ConfigErrors."""
        for problem in self._plugins.configure(configuration.plugin_sections):
            configuration.plugin_place.below(*problem.keys).report(problem.text)
        networks = list(self._plugins.networks())
        for name, place in configuration.network_places.items():
            if name not in networks:
                place.report(f"there is no network {name}{nearest(name, networks, 'there are')}")
        configuration.plugin_place.problems.raise_any()

    async def apply(self, configuration: Configuration) -> Changes:
        """Make what is there into what the configuration wants. Only what differs is touched."""
        async with self._applying:
            present = [instance.record for instance in self.hosted() if instance.record.configured]
            before = replace(
                configuration,
                host=self._configuration.host,
                tenants=self._configuration.tenants,
                definitions=tuple(record.definition for record in present),
            )
            difference = compare(before, configuration)
            self._configuration = configuration
            self.set_tenants({tenant.name: tenant for tenant in configuration.tenants})
            self.spawn(self.volumes.count_unbounded)
            self._policies.library = configured_policies(configuration)
            await self._networks.set_tenants(self.configured_tenants())
            changes = await self._refresh_policies(await self._change(difference))
            await self._networks.repair()
            await self._around.journal.tell(EventKind.RELOADED, str(configuration.source))
            return changes

    def _named(self, tenant: str, name: str) -> HostedInstance:
        return self.instance(self.find(f"{tenant}/{name}", None).id)

    async def _change(self, difference: Difference) -> Changes:
        for tenant in difference.tenants_changed:
            self._around.cgroups.set_quota(tenant.name, tenant.quota)
        gone = [self._named(key.tenant, key.name) for key in difference.removed]
        again = [self._named(each.tenant, each.name) for each in difference.to_restart]
        weak = [each for each in self.hosted() if each.is_below_floor and each not in (*gone, *again)]
        await stop_in_order([*gone, *again, *weak])
        for instance in gone:
            await self.remove(instance.record.id, force=True)
        for instance, definition in zip(again, difference.to_restart, strict=True):
            await instance.redefine(definition, start=True)
        for instance in weak:
            await instance.redefine(instance.definition, start=True)
        adjusted, kept = await self._redefine(difference.changed_in_place)
        new, refused = await self._make(difference.added)
        self._begin([*again, *weak, *new])
        return Changes(
            tenants=tuple(tenant.name for tenant in (*difference.tenants_added, *difference.tenants_changed)),
            created=tuple(f"{instance.record.tenant}/{instance.record.name}" for instance in new),
            removed=tuple(f"{key.tenant}/{key.name}" for key in difference.removed),
            restarted=_names((*difference.to_restart, *(each.definition for each in weak))),
            adjusted=adjusted,
            refused=(*kept, *refused),
            needs_restart=tuple(change.field for change in difference.host if change.needs_restart),
        )

    async def _redefine(
        self, definitions: tuple[InstanceDefinition, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of those that changed, and a line for each that stays as it was: another program may have
        taken a port."""
        changed, kept = [], []
        for definition in definitions:
            name = f"{definition.tenant}/{definition.name}"
            try:
                await self._named(definition.tenant, definition.name).redefine(definition)
            except (Conflict, NetworkError) as error:
                kept.append(f"{name}: {error}")
            else:
                changed.append(name)
        return tuple(changed), tuple(kept)

    async def _refresh_policies(self, changes: Changes) -> Changes:
        """Have the policies of now hold for all that runs; the changes with what became of that."""
        changed, refused = [], []
        for instance in self.hosted():
            name = f"{instance.record.tenant}/{instance.record.name}"
            result = await instance.refresh_policy()
            if result == POLICY_CHANGED:
                changed.append(name)
            elif result:
                refused.append(f"{name}: {result}")
        return replace(changes, policies=tuple(changed), policies_refused=tuple(refused))

    async def publish(self, id: InstanceId, port: PublishedPort, *, confined: bool) -> None:  # noqa: A002
        """See Hosting."""
        async with self._applying:
            instance = self.instance(id)
            before = instance.definition
            if port in before.ports:
                raise Conflict(f"{before.name} has the port {port} already")
            changed = replace(before, ports=(*before.ports, port))
            self._networks.choose(instance.tenant, changed, instance.record.engine, confined=confined)
            await instance.redefine(changed)

    async def unpublish(self, id: InstanceId, port: PublishedPort) -> None:  # noqa: A002
        """See Hosting."""
        async with self._applying:
            instance = self.instance(id)
            before = instance.definition
            if port not in before.ports:
                raise NotFound(f"{before.name} has no port {port}; kwhost ps shows its ports")
            rest = tuple(each for each in before.ports if each != port)
            await instance.redefine(replace(before, ports=rest))

    async def refresh_policy(self, id: InstanceId) -> None:  # noqa: A002
        """For plugins: ask them all for their layers of an instance. Raises NotFound, Conflict."""
        result = await self.instance(id).refresh_policy(ask_plugins=True)
        if result not in ("", POLICY_CHANGED):
            raise Conflict(result)

    async def _make(
        self, definitions: tuple[InstanceDefinition, ...]
    ) -> tuple[list[HostedInstance], tuple[str, ...]]:
        """Those that could be made, and a line for each that could not: instances made through the API may
        have taken a name or the quota."""
        made, refused = [], []
        for definition in definitions:
            try:
                status = await self.create(definition, start=False, confined=False, configured=True)
            except StoreError:
                raise
            except KwhostError as error:
                refused.append(f"{definition.tenant}/{definition.name}: {error}")
                await self._around.journal.tell(EventKind.FAILED, refused[-1])
            else:
                made.append(self.instance(status.id))
        return made, tuple(refused)

    def _begin(self, instances: list[HostedInstance]) -> None:
        """Start them, each when what it depends on is ready; nobody waits for that."""
        self.spawn(start_in_order, instances, self.hosted())

    def start_wanted(self) -> None:
        """Start what was to run when the last daemon ended and does not: the host was restarted, say."""
        wanted = (instance for instance in self.hosted() if instance.record.desired == "running")
        self._begin([instance for instance in wanted if instance.is_settled])

    # The end.

    async def shutdown(self, *, stop_instances: bool) -> None:
        """See Hosting."""
        self._closing = True
        self.spawn(self._end, stop_instances)

    async def _end(self, stop_instances: bool) -> None:  # noqa: FBT001 - spawn takes no keywords
        try:
            if stop_instances:
                await self.stop_all()
            await self._networks.finish()
        except KwhostError as error:
            await self._around.journal.tell(EventKind.NOTICE, f"not everything was ended: {error}")
        finally:
            self.stopped.set()

    async def stop_all(self) -> None:
        """Stop everything; what the configuration named is forgotten, and made anew by the next `up`."""
        async with self._applying:
            instances = self.hosted()
            await stop_in_order(instances)
            for instance in instances:
                if instance.record.configured:
                    await self.remove(instance.record.id, force=True)

    @property
    def run_dir(self) -> Path:
        """For plugins: where sockets belong."""
        return self._around.run_dir

    @property
    def state_dir(self) -> Path:
        """For plugins: for what outlives a reboot."""
        return self._around.state_dir

    # Files.

    def archive_get(self, id: InstanceId, path: str) -> AsyncGenerator[bytes, None]:  # noqa: A002 - as in Hosting
        """See Hosting."""
        return self._copies.read(self._copied(id), path)

    async def archive_put(self, id: InstanceId, path: str, archive: AsyncIterator[bytes]) -> None:  # noqa: A002
        """See Hosting."""
        await self._copies.write(self._copied(id), path, archive)

    def _copied(self, id: InstanceId) -> Copied:  # noqa: A002
        instance = self.instance(id)
        state = instance.record.state
        if instance.run is None or state is not InstanceState.RUNNING:
            text = "its files can be copied only while it runs"
            raise Conflict(f"{instance.record.name} is {state.value}: {text}")
        copied = Copied(id, self._around.dirs(id), instance.run.group)
        if not is_bare(instance.record.protections):
            return copied
        scratch = scratch_path(id)
        return copied._replace(scratch=scratch, real_scratch=(instance.definition.rootfs or "") + scratch)


def _names(definitions: tuple[InstanceDefinition, ...]) -> tuple[str, ...]:
    return tuple(f"{definition.tenant}/{definition.name}" for definition in definitions)


def _kvm_state() -> str:
    try:
        os.close(open_kvm())
    except KvmError as error:
        return str(error)
    return "usable"


def _lacking(cgroups: Cgroups) -> tuple[str, ...]:
    """What no cgroup limits here; pids the monitors count in any case."""
    missing = {entry.limit: entry.reason for entry in cgroups.missing(_EVERY_LIMIT) if entry.limit != "pids"}
    return tuple(
        f"{limit} {'is sampled (approximate)' if limit == 'memory' else 'cannot be limited'}: {reason}"
        for limit, reason in missing.items()
    )
