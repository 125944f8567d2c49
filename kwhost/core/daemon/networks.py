"""The networks of this host's instances: what the daemon makes of them with kwhost.net.

A host where no instance wants a network loads nothing of it and is not touched.
"""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import TYPE_CHECKING

import trio

from kwhost.core.config.host import HostConfig
from kwhost.core.config.network_check import default_network
from kwhost.core.daemon.free_ports import check_free
from kwhost.core.errors import KwhostError, NetworkError, UsageError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.network import (
    HOST_NETWORK,
    NO_NETWORK,
    TENANT_NETWORK,
    InstanceAddresses,
    PublishedPort,
)
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.networking import Attached

if TYPE_CHECKING:
    from kwhost.core.daemon.network_members import Member
    from kwhost.core.daemon.network_ports import LoopbackPorts
    from kwhost.hookspecs import NetworkOffer
    from kwhost.net.addresses import Subnet
    from kwhost.net.reconcile import Reconciler
    from kwhost.net.wishes import Wishes

__all__ = ["DaemonNetworks"]

# Until then, what an earlier daemon left has said that it runs.
_ADOPTION_SECONDS = 15.0
# Between looks at what somebody else may have changed.
_UPKEEP_SECONDS = 15.0
# Tenants' users may not take ports that this host's services have by custom.
_PRIVILEGED = 1024


class DaemonNetworks:
    """Implements supervise.networking.Networks. `records` are those of all instances."""

    def __init__(
        self,
        host: HostConfig,
        offers: Callable[[], Mapping[str, "NetworkOffer"]],
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        self.records: Callable[[], Iterable[InstanceRecord]] = tuple
        self._host = host
        self._offers = offers
        self._tell = tell
        self._members: dict[InstanceId, Member] = {}
        self._opened: dict[InstanceId, int] = {}  # namespaces that are not of a tenant's network
        self._planned: dict[InstanceId, InstanceAddresses] = {}
        self._subnets: dict[TenantName, Subnet] = {}
        self._planning = trio.Lock()
        self._awaited: set[InstanceId] = set()
        self._adopted = trio.Event()
        self._settled = trio.Event()
        self._problem = ""
        self._published: set[PublishedPort] = set()
        self._reconciler: Reconciler | None = None
        self._ports: LoopbackPorts | None = None

    # What an instance may have.

    def choose(self, tenant: Tenant, definition: InstanceDefinition, *, confined: bool) -> str:
        """See Networks."""
        default = default_network(tenant, pooled=bool(self._host.subnet_pool))
        name, offers = definition.network or default, self._offers()
        if name not in offers:
            raise UsageError(f"there is no network {name!r}; there are {', '.join(sorted(offers))}")
        if name == HOST_NETWORK and (confined or not self._host.allow_host_network):
            raise UsageError("the network 'host' is not allowed here: see [host] allow_host_network")
        if definition.ports and name != TENANT_NETWORK:
            raise UsageError(f"ports cannot be published with the network {name!r}: 'tenant' has them")
        if confined:
            _refuse_to_users(definition)
        return name

    # The life of an attachment.

    async def plan(self, record: InstanceRecord, tenant: Tenant) -> InstanceAddresses | None:
        """See Networks."""
        self._forget_awaited(record.id)
        if record.definition.network != TENANT_NETWORK:
            return None
        if os.geteuid() != 0:
            raise NetworkError("a tenant's network needs a daemon of root's")
        await self._settled.wait()
        from kwhost.core.daemon.network_members import make_addresses
        from kwhost.net.addresses import assign_addresses

        async with self._planning:
            subnet = await self._subnet(tenant)
            known = {each.id: each.addresses for each in self.records() if each.addresses} | self._planned
            names = {each.id: each.name for each in self.records() if each.tenant == tenant.name}
            kept = {
                names[id]: IPv4Address(addresses.address4)
                for id, addresses in known.items()  # noqa: A001 - it is the word for it
                if id in names and IPv4Address(addresses.address4) in subnet.net4
            }
            chosen = assign_addresses(subnet, [record.name], kept=kept)[record.name]
            addresses = make_addresses(self._network.wishes.owner, record, subnet, chosen)
            self._planned[record.id] = addresses
            return addresses

    async def attach(self, record: InstanceRecord, tenant: Tenant) -> Attached:
        """See Networks."""
        network = record.definition.network or NO_NETWORK
        if network == NO_NETWORK:
            return Attached()
        if network == HOST_NETWORK:
            self._opened[record.id] = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            return Attached(self._opened[record.id])
        if network != TENANT_NETWORK:
            return await self._attach_by_plugin(network, record)
        from kwhost.core.daemon.network_members import Member, hosts_file
        from kwhost.net.namespaces import new_namespace

        assert record.addresses
        member = Member(
            record=record,
            tenant=tenant,
            namespace=await trio.to_thread.run_sync(new_namespace),
            addresses=record.addresses,
            serving=record.definition.healthcheck is None,
        )
        self._members[record.id] = member
        try:
            await self._join(member)
        except BaseException:
            with trio.CancelScope(shield=True), suppress(KwhostError):
                await self.detach(record.id)
            raise
        return Attached(member.namespace, (hosts_file(record, record.addresses),))

    async def adopt(self, record: InstanceRecord, tenant: Tenant, pid: int) -> None:
        """See Networks."""
        if record.addresses and record.definition.network == TENANT_NETWORK:
            from kwhost.core.daemon.network_members import Member

            with suppress(OSError):  # it has just ended
                namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                self._members[record.id] = Member(
                    record=record,
                    tenant=tenant,
                    namespace=namespace,
                    addresses=record.addresses,
                    serving=True,  # until its health is known to be bad
                    pid=pid,
                )
        self._forget_awaited(record.id)

    async def running(self, instance: InstanceId, pid: int) -> None:
        """See Networks."""
        if member := self._members.get(instance):
            member.pid = pid
            if self._settled.is_set():
                await self._publish()

    async def serve(self, instance: InstanceId, *, healthy: bool) -> None:
        """See Networks."""
        member = self._members.get(instance)
        if member and member.serving != healthy:
            member.serving = healthy
            if self._settled.is_set():
                await self._publish()

    async def redefine(self, record: InstanceRecord) -> None:
        """See Networks."""
        member = self._members.get(record.id)
        if member is None:
            return
        before, member.record = member.record, record
        try:
            await self._join(member)
        except BaseException:
            member.record = before
            with trio.CancelScope(shield=True), suppress(KwhostError):
                await self._join(member)
            raise

    async def detach(self, instance: InstanceId) -> None:
        """See Networks."""
        self._forget_awaited(instance)
        self._planned.pop(instance, None)
        if opened := self._opened.pop(instance, None):
            os.close(opened)
        member = self._members.pop(instance, None)
        if member is None:
            return
        try:
            if self._settled.is_set():
                await self._leave(member)
        finally:
            os.close(member.namespace)

    async def _leave(self, member: "Member") -> None:
        """All of it, whatever fails first: what is wanted is right in any case."""
        failure: KwhostError | None = None
        for change in (partial(self._network.detach, member.record.id), self._set_networks, self._publish):
            try:
                await change()
            except KwhostError as error:
                failure = failure or error
        if failure:
            raise failure

    # Everything.

    async def set_tenants(self, tenants: Mapping[TenantName, Tenant]) -> None:
        """From a configuration that was read again. Raises NetworkError."""
        changed = [
            member
            for member in self._members.values()
            if member.tenant != tenants.get(member.record.tenant, member.tenant)
        ]
        for member in changed:
            member.tenant = tenants[member.record.tenant]
        if changed:
            await self._set_networks()
            await self._attach(*changed)

    def expect(self, instances: Iterable[InstanceId]) -> None:
        """Those of an earlier daemon's instances that may be attached: until each was adopted or detached,
        nothing is changed."""
        self._awaited |= set(instances)
        if not self._awaited:
            self._adopted.set()

    async def run(self, records: Iterable[InstanceRecord]) -> None:
        """Have everything as it is to be, whatever happens to it, until cancelled; `records` are those that
        an earlier daemon left."""
        records = tuple(records)
        with trio.move_on_after(_ADOPTION_SECONDS):
            await self._adopted.wait()
        if any(record.addresses for record in records):
            from kwhost.core.daemon.network_members import subnets_of

            self._subnets |= subnets_of(records)
            self._network.wishes = self._wishes()
            await self._repair()
        self._settled.set()
        while True:
            await trio.sleep(_UPKEEP_SECONDS)
            await self.repair()

    async def repair(self) -> None:
        """Put back what somebody else has changed."""
        if self._members:
            await self._repair()

    async def _repair(self) -> None:
        try:
            failures = await self._network.reconcile()
            await self._publish()
            problem = "; ".join(str(error) for error in failures.values())
        except KwhostError as error:
            problem = str(error)
        if problem and problem != self._problem:
            await self._tell(f"networks: {problem}")
        self._problem = problem

    # Parts.

    @property
    def _network(self) -> "Reconciler":
        if self._reconciler is None:
            from kwhost.net.host import HostNetwork
            from kwhost.net.names import owner_of
            from kwhost.net.reconcile import Reconciler

            self._reconciler = Reconciler(HostNetwork(owner_of(str(self._host.state_dir))))
        return self._reconciler

    def _wishes(self) -> "Wishes":
        from kwhost.core.daemon.network_members import attachment_of, groups, networks_of, published_of
        from kwhost.net.wishes import Wishes

        members = self._members.values()
        return Wishes(
            owner=self._network.wishes.owner,
            networks=networks_of(members),
            attachments=tuple(attachment_of(member) for member in members),
            published=tuple(published_of(groups(members))),
        )

    async def _subnet(self, tenant: Tenant) -> "Subnet":
        from kwhost.net.addresses import Pool, Subnet, assign_subnets
        from kwhost.net.host import HostNetwork

        known = self._subnets.get(tenant.name)
        wanted = tenant.network.subnet if tenant.network else None
        is_used = any(member.record.tenant == tenant.name for member in self._members.values())
        if known and (is_used or wanted in (None, str(known.net4))):
            return known
        nets = {net.version: net for net in self._host.subnet_pool}
        pool = Pool()
        if isinstance(net4 := nets.get(4), IPv4Network):
            pool = Pool(net4=net4, net6=pool.net6, length4=max(pool.length4, net4.prefixlen))
        if isinstance(net6 := nets.get(6), IPv6Network):
            pool = Pool(net4=pool.net4, net6=net6, length4=pool.length4)
        used = await trio.to_thread.run_sync(HostNetwork(self._network.wishes.owner).used)
        kept = {name: subnet for name, subnet in self._subnets.items() if name != tenant.name}
        assigned = assign_subnets(pool, [tenant.name], kept=kept, used=used)[tenant.name]
        subnet = Subnet(IPv4Network(wanted), assigned.net6) if wanted else assigned
        self._subnets[tenant.name] = subnet
        return subnet

    async def _join(self, member: "Member") -> None:
        from kwhost.core.daemon.network_members import groups

        groups(self._members.values())  # conflicts, before anything is made
        self._check_free(member)
        await self._set_networks()
        await self._attach(member)
        await self._publish()

    def _check_free(self, member: "Member") -> None:
        """Nobody else on this host has one of its ports."""
        others = (each for each in self._members.values() if each is not member)
        served = {port for each in others for port in each.record.definition.ports} | self._published
        for port in member.record.definition.ports:
            if port not in served:
                check_free(port)

    async def _attach(self, *members: "Member") -> None:
        from kwhost.core.daemon.network_members import attachment_of

        await self._network.attach(*(attachment_of(member) for member in members))

    async def _set_networks(self) -> None:
        """Those of all tenants that have an attached instance, or are about to."""
        from kwhost.core.daemon.network_members import networks_of

        networks = networks_of(self._members.values())
        if networks != self._network.wishes.networks:
            await self._network.set_networks(networks, self._network.wishes.published)

    async def _publish(self) -> None:
        from kwhost.core.daemon.network_members import groups, published_of

        found = groups(self._members.values())
        published = tuple(published_of(found))
        if published != self._network.wishes.published:
            await self._network.publish(published)
        if found and self._ports is None:
            from kwhost.core.daemon.network_ports import LoopbackPorts

            self._ports = LoopbackPorts(self._host.run_dir)
        if self._ports:
            await self._ports.publish(found, tuple(self._members.values()))
        self._published = {group.port for group in found}

    def _forget_awaited(self, instance: InstanceId) -> None:
        self._awaited.discard(instance)
        if not self._awaited:
            self._adopted.set()

    async def _attach_by_plugin(self, network: str, record: InstanceRecord) -> Attached:
        raise NetworkError(f"the network {network!r} cannot be attached to")


def _refuse_to_users(definition: InstanceDefinition) -> None:
    """What only the operator may give."""
    if definition.traffic.egress:
        raise UsageError("traffic.egress is for the operator to allow: it counts beside the tenant's own")
    for port in definition.ports:
        if port.port < _PRIVILEGED or not port.address or not port.address.startswith(("127.", "::1")):
            raise UsageError(
                f"{port}: tenants' users may publish ports from {_PRIVILEGED} on loopback addresses"
            )
