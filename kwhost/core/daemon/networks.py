"""The networks of this host's instances: which one each may have, and who makes it.

A host where no instance wants a network loads nothing of kwhost.net and is not touched.
"""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

import trio

from kwhost.core.config.host import HostConfig
from kwhost.core.config.network_check import default_network
from kwhost.core.daemon.driven_networks import DrivenNetworks
from kwhost.core.errors import Conflict, UsageError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.network import HOST_NETWORK, NO_NETWORK, TENANT_NETWORK, InstanceAddresses
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.bell import Bell
from kwhost.core.supervise.driver import NetworkDriver
from kwhost.core.supervise.networking import Attached, TrafficCounts

if TYPE_CHECKING:
    from kwhost.core.daemon.network_offers import OfferedNetworks
    from kwhost.core.daemon.tenant_networks import AskUplinks, TenantNetworks
    from kwhost.hookspecs import NetworkOffer

__all__ = ["DaemonNetworks"]

# Until then, what an earlier daemon left has said that it runs.
_ADOPTION_SECONDS = 15.0
# Between looks at what somebody else may have changed.
_UPKEEP_SECONDS = 15.0
# Between two counts of what passed.
_COUNT_SECONDS = 1.0
# Tenants' users may not take ports that this host's services have by custom.
_PRIVILEGED = 1024


class DaemonNetworks:
    """Implements supervise.networking.Networks. `records` are those of all instances; set it first.

    `tap_queues` says of an engine how many queues the tap has that attaches its instances, if one does.
    """

    def __init__(
        self,
        host: HostConfig,
        offers: Callable[[], Mapping[str, "NetworkOffer"]],
        uplinks: "AskUplinks",
        tap_queues: Callable[[str], int | None],
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        self.records: Callable[[], Iterable[InstanceRecord]] = tuple
        self._host = host
        self._offers = offers
        self._uplinks = uplinks
        self._tap_queues = tap_queues
        self._tell = tell
        self._host_namespaces: dict[InstanceId, int] = {}
        self._awaited: set[InstanceId] = set()
        self._adopted = trio.Event()
        self._settled = trio.Event()
        self._needed = trio.Event()
        self._count_asked = Bell()
        self._made: TenantNetworks | None = None
        self._made_offered: OfferedNetworks | None = None
        self._driven = None if os.geteuid() == 0 else DrivenNetworks()

    @property
    def _tenants(self) -> "TenantNetworks":
        if self._made is None:
            from kwhost.core.daemon.tenant_networks import TenantNetworks

            self._made = TenantNetworks(self._host, self.records, self._uplinks, self._tell)
            self._needed.set()
        return self._made

    @property
    def _offered(self) -> "OfferedNetworks":
        if self._made_offered is None:
            from kwhost.core.daemon.network_offers import OfferedNetworks

            self._made_offered = OfferedNetworks(self._offers)
        return self._made_offered

    # What an instance may have.

    def choose(self, tenant: Tenant, definition: InstanceDefinition, engine: str, *, confined: bool) -> str:
        """See Networks."""
        default = default_network(tenant, pooled=bool(self._host.subnet_pool))
        name, offers = definition.network or default, self._offers()
        if name not in offers:
            raise UsageError(f"there is no network {name!r}; there are {', '.join(sorted(offers))}")
        if confined and name not in (NO_NETWORK, default):
            raise UsageError(
                f"the network {name!r} is for the operator to give: there are none and {default}"
            )
        if name == HOST_NETWORK and not self._host.allow_host_network:
            raise UsageError("the network 'host' is not allowed here: see [host] allow_host_network")
        if definition.ports and name != TENANT_NETWORK:
            raise UsageError(f"ports cannot be published with the network {name!r}: 'tenant' has them")
        if confined:
            _refuse_to_users(definition)
        self._check_tap(engine, name, definition)
        return name

    def _check_tap(self, engine: str, network: str, definition: InstanceDefinition) -> None:
        """Raise UsageError for what needs a network namespace, where the engine drives a tap instead."""
        if self._tap_queues(engine) is None:
            return
        if network not in (NO_NETWORK, TENANT_NETWORK):
            raise UsageError(
                f"the network {network!r} is a namespace, of which the engine {engine!r} has none"
            )
        if network == TENANT_NETWORK and self._driven:
            raise UsageError(f"the engine {engine!r} needs a tap, which only a daemon of root's can make")
        for port in definition.ports:
            if not port.address or ip_address(port.address).is_loopback:
                text = f"ports of loopback addresses do not lead to the engine {engine!r}"
                raise UsageError(f"cannot publish {port}: {text}; name another address of this host")

    async def plan(self, record: InstanceRecord, tenant: Tenant) -> InstanceAddresses | None:
        """See Networks."""
        self._forget(record.id)
        if record.definition.network != TENANT_NETWORK:
            return None
        if self._driven:
            return None
        await self._settled.wait()
        addresses = await self._tenants.plan(record, tenant)
        return replace(addresses, tap=self._tap_queues(record.engine) is not None)

    # The life of an attachment.

    async def attach(self, record: InstanceRecord, tenant: Tenant) -> Attached:
        """See Networks."""
        network = record.definition.network or NO_NETWORK
        self._check_tap(record.engine, network, record.definition)
        match network:
            case "none":
                return Attached()
            case "host":
                namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                self._host_namespaces[record.id] = namespace
                return Attached(namespace)
            case "tenant" if self._driven:
                driven = self._driven.prepare(record, tenant)
                return Attached(files=driven.files, driven=driven)
            case "tenant":
                return await self._tenants.attach(record, tenant, self._tap_queues(record.engine))
            case _:
                return await self._offered.attach(record)

    def driver(self, record: InstanceRecord, tenant: Tenant) -> NetworkDriver | None:
        """See Networks."""
        if self._driven and record.definition.network == TENANT_NETWORK:
            return self._driven.driver(record, tenant)
        return None

    async def adopt(self, record: InstanceRecord, tenant: Tenant, pid: int) -> None:
        """See Networks."""
        network = record.definition.network or NO_NETWORK
        if network == TENANT_NETWORK and record.addresses:
            self._tenants.adopt(record, tenant, pid)
            if self._settled.is_set():  # it answered late
                await self._tenants.settle()
        elif network not in (NO_NETWORK, HOST_NETWORK, TENANT_NETWORK):
            self._offered.adopt(record, pid)
        self._forget(record.id)

    async def running(self, instance: InstanceId, pid: int) -> None:
        """See Networks."""
        if self._made:
            await self._made.running(instance, pid)

    async def serve(self, instance: InstanceId, *, healthy: bool) -> None:
        """See Networks."""
        if self._made:
            await self._made.serve(instance, healthy=healthy)

    async def redefine(self, record: InstanceRecord) -> None:
        """See Networks."""
        try:
            self._check_tap(record.engine, record.definition.network or NO_NETWORK, record.definition)
        except UsageError as error:
            raise Conflict(str(error)) from error
        if self._driven:
            self._driven.redefine(record)
        if self._made:
            await self._made.redefine(record)

    async def detach(self, record: InstanceRecord) -> None:
        """See Networks."""
        self._forget(record.id)
        if self._driven:
            self._driven.forget(record.id)
        if namespace := self._host_namespaces.pop(record.id, None):
            os.close(namespace)
        if self._made_offered:
            await self._made_offered.detach(record)
        if self._made:
            await self._made.detach(record.id)

    # What passed.

    def counts(self, instance: InstanceId) -> TrafficCounts | None:
        """See Networks."""
        self._count_asked.ring()
        return self._made.counts(instance) if self._made else None

    async def count(self) -> None:
        """See Networks."""
        if self._made:
            await self._made.count()

    # Everything.

    async def set_tenants(self, tenants: Mapping[TenantName, Tenant]) -> None:
        """From a configuration that was read again. Raises NetworkError."""
        if self._made:
            await self._made.set_tenants(tenants)

    async def repair(self) -> None:
        """Put back what somebody else has changed."""
        if self._made:
            await self._made.repair()

    def expect(self, instances: Iterable[InstanceId]) -> None:
        """Those of an earlier daemon's instances that may be attached: until each was adopted or detached,
        nothing is changed."""
        self._awaited |= set(instances)
        if not self._awaited:
            self._adopted.set()

    def _forget(self, instance: InstanceId) -> None:
        self._awaited.discard(instance)
        if not self._awaited:
            self._adopted.set()

    async def run(self, records: Iterable[InstanceRecord]) -> None:
        """Have everything as it is to be, whatever happens to it, until cancelled; `records` are those that
        an earlier daemon left."""
        from_before = any(record.addresses for record in records)
        with trio.move_on_after(_ADOPTION_SECONDS):
            await self._adopted.wait()
        if from_before:
            await self._tenants.settle()
        self._settled.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._count_when_asked)
            nursery.start_soon(self._keep)
            while True:
                await trio.sleep(_UPKEEP_SECONDS)
                await self.repair()

    async def _keep(self) -> None:
        await self._needed.wait()
        await self._tenants.keep()

    async def _count_when_asked(self) -> None:
        while True:
            await self._count_asked.wait()
            await self.count()
            await trio.sleep(_COUNT_SECONDS)

    async def finish(self) -> None:
        """The daemon ends, and no instance is left: end what serves them. Raises NetworkError."""
        if self._made:
            await self._made.finish()


def _refuse_to_users(definition: InstanceDefinition) -> None:
    """What only the operator may give."""
    if definition.traffic.egress:
        raise UsageError("traffic.egress is for the operator to allow: it counts beside the tenant's own")
    for port in definition.ports:
        if port.port < _PRIVILEGED or not port.address.startswith(("127.", "::1")):
            raise UsageError(
                f"{port}: tenants' users may publish ports from {_PRIVILEGED} on loopback addresses"
            )
