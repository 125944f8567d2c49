"""Tenants' networks: who is attached to them, and what of that kwhost.net is told."""

import math
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

import trio

from kwhost.core.config.host import HostConfig
from kwhost.core.daemon.free_ports import check_free
from kwhost.core.daemon.network_addresses import Addresses
from kwhost.core.daemon.network_members import (
    Member,
    attachment_of,
    files_of,
    groups,
    networks_of,
    published_of,
    subnet_of,
    tap_of,
    traffic_of,
    zones_of,
)
from kwhost.core.daemon.network_ports import LoopbackPorts
from kwhost.core.errors import Conflict, KwhostError
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.network import InstanceAddresses, PublishedPort, Uplink
from kwhost.core.model.taps import Tap
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.networking import Attached, TrafficCounts
from kwhost.net.addresses import Subnet
from kwhost.net.host import HostNetwork
from kwhost.net.names import owner_of
from kwhost.net.namespaces import new_namespace
from kwhost.net.reconcile import Reconciler
from kwhost.net.resolving import Resolver
from kwhost.net.rounds import Rounds
from kwhost.net.statistics import read_counts
from kwhost.net.uplinks import without_conflicts
from kwhost.net.wishes import Network, Wishes

__all__ = ["AskUplinks", "TenantNetworks"]

# Where a tenant's network goes on: see hookspecs.network_uplinks.
AskUplinks = Callable[[Tenant, Subnet], Awaitable[tuple[Uplink, ...]]]

# What was counted is as good as new for so long.
_COUNTS_SECONDS = 0.5


class TenantNetworks:
    """What is wanted follows from the members alone. Methods raise Conflict and NetworkError."""

    def __init__(
        self,
        host: HostConfig,
        records: Callable[[], Iterable[InstanceRecord]],
        uplinks: AskUplinks,
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        self._owner = owner_of(str(host.state_dir))
        self._host = HostNetwork(self._owner)
        self._network = Reconciler(self._host)
        self._addresses = Addresses(self._owner, host.subnet_pool, records)
        self._members: dict[InstanceId, Member] = {}
        self._ports = LoopbackPorts(host.run_dir, self._members.values)
        self._resolver = Resolver(host.run_dir)
        self._naming = Rounds()
        self._tell = tell
        self._ask_uplinks = uplinks
        self._uplinks: dict[TenantName, tuple[Uplink, ...]] = {}
        self._published: set[PublishedPort] = set()
        self._problem = ""
        self._counts: dict[InstanceId, TrafficCounts] = {}
        self._counted_at = -math.inf
        self._is_settled = True
        self._unfit: tuple[Conflict, ...] = ()

    # One instance.

    async def plan(self, record: InstanceRecord, tenant: Tenant) -> InstanceAddresses:
        """See Networks."""
        attached = {member.record.tenant for member in self._members.values()}
        return await self._addresses.plan(record, tenant, attached)

    async def attach(self, record: InstanceRecord, tenant: Tenant, tap_queues: int | None) -> Attached:
        """See Networks; `tap_queues` of an instance with a tap."""
        assert record.addresses
        member = Member(
            record=record,
            tenant=tenant,
            namespace=-1 if record.addresses.tap else await trio.to_thread.run_sync(new_namespace),
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
        files = files_of(record, record.addresses)
        if tap_queues:
            return Attached(files=files, open_taps=partial(_open_taps, self._host, member, tap_queues))
        return Attached(member.namespace, files)

    def adopt(self, record: InstanceRecord, tenant: Tenant, pid: int) -> None:
        """See Networks; `settle` follows when all were adopted."""
        self._is_settled = False
        assert record.addresses
        with suppress(OSError):  # it has just ended
            path = f"/proc/{pid}/ns/net"
            self._members[record.id] = Member(
                record=record,
                tenant=tenant,
                namespace=-1 if record.addresses.tap else os.open(path, os.O_RDONLY | os.O_CLOEXEC),
                addresses=record.addresses,
                serving=True,  # until its health is known to be bad
                pid=pid,
            )

    async def running(self, instance: InstanceId, pid: int) -> None:
        """See Networks."""
        if member := self._members.get(instance):
            member.pid = pid
            await self._publish_ports(member)

    async def serve(self, instance: InstanceId, *, healthy: bool) -> None:
        """See Networks."""
        member = self._members.get(instance)
        if member and member.serving != healthy:
            member.serving = healthy
            await self._publish(member)

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
        self._addresses.forget(instance)
        member = self._members.pop(instance, None)
        if member is None:
            return
        try:
            if self._is_settled:
                await self._leave(member)
        finally:
            if member.namespace >= 0:
                os.close(member.namespace)
            member.namespace = -1

    async def _join(self, member: Member) -> None:
        groups(self._members.values())  # conflicts, before anything is made
        self._check_free(member)
        await self._publish_names()
        if member.tenant.name not in self._uplinks:
            await self._refresh_uplinks([member])
        await self._set_networks()
        await self._network.attach(attachment_of(member))
        await self._publish_ports(member)

    async def _leave(self, left: Member) -> None:
        """All of it, whatever fails first: what is wanted is right in any case."""
        present = {member.tenant.name for member in self._members.values()}
        self._uplinks = {name: found for name, found in self._uplinks.items() if name in present}
        failure: KwhostError | None = None
        detach, publish = partial(self._network.detach, left.record.id), partial(self._publish, left)
        for change in (detach, self._set_networks, publish):
            try:
                await change()
            except KwhostError as error:
                failure = failure or error
        if failure:
            raise failure

    def _check_free(self, member: Member) -> None:
        """No program of this host has one of its ports."""
        others = (each for each in self._members.values() if each is not member)
        served = {port for each in others for port in each.record.definition.ports} | self._published
        for port in member.record.definition.ports:
            if port not in served:
                check_free(port)

    # All of them.

    async def settle(self) -> None:
        """All that an earlier daemon attached is known: have that, and nothing else."""
        await self._refresh_uplinks(self._members.values())
        self._is_settled = True
        self._network.wishes = self._wishes()
        await self._reconcile()

    async def set_tenants(self, tenants: Mapping[TenantName, Tenant]) -> None:
        """From a configuration that was read again."""
        changed = [
            member
            for member in self._members.values()
            if member.tenant != tenants.get(member.record.tenant, member.tenant)
        ]
        for member in changed:
            member.tenant = tenants[member.record.tenant]
        if self._members and self._is_settled:
            await self._refresh_uplinks(tuple(self._members.values()))
            await self._set_networks()
            await self._network.attach(*map(attachment_of, changed))

    async def repair(self) -> None:
        """Put back what somebody else has changed."""
        if self._members and self._is_settled:
            await self._reconcile()

    async def finish(self) -> None:
        """Nobody is attached any more, and the daemon ends."""
        if not self._members:
            await self._ports.stop()
            await self._resolver.stop()

    async def keep(self) -> None:
        """Never returns: has what serves instances run."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._resolver.keep)
            nursery.start_soon(self._ports.keep, self._tell)

    async def _reconcile(self) -> None:
        try:
            failures = await self._network.reconcile()
            await self._publish()
            problem = "; ".join(str(error) for error in failures.values())
        except KwhostError as error:
            problem = str(error)
        if problem and problem != self._problem:
            await self._tell(f"networks: {problem}")
        self._problem = problem

    def _wishes(self) -> Wishes:
        members = self._members.values()
        return Wishes(
            owner=self._owner,
            networks=self._networks(),
            attachments=tuple(map(attachment_of, members)),
            published=tuple(published_of(groups(members), self._members)),
        )

    async def _set_networks(self) -> None:
        """Those of all tenants that have a member."""
        networks = self._networks()
        if networks != self._network.wishes.networks:
            await self._network.set_networks(networks, self._network.wishes.published)

    def _networks(self) -> tuple[Network, ...]:
        networks = (
            replace(network, uplinks=self._uplinks.get(network.tenant, ()))
            for network in networks_of(self._members.values())
        )
        fit, self._unfit = without_conflicts(networks)
        return fit

    async def _refresh_uplinks(self, members: Iterable[Member]) -> None:
        """Ask the plugins of whose tenants these are."""
        tenants = {member.tenant.name: member for member in members}
        for name, member in tenants.items():
            self._uplinks[name] = await self._ask_uplinks(member.tenant, subnet_of(member.addresses))
        self._networks()
        for conflict in self._unfit:
            await self._tell(f"networks: {conflict}")

    async def _publish(self, member: Member | None = None) -> None:
        if self._is_settled:
            await self._publish_names()
            await self._publish_ports(member)

    async def _publish_ports(self, member: Member | None = None) -> None:
        """All of them; errors are those about the member's, if one is given."""
        if not self._is_settled:
            return
        found = groups(self._members.values())
        attached = {one.instance for one in self._network.wishes.attachments}
        published = tuple(published_of(found, attached))
        if published != self._network.wishes.published:
            await self._network.publish(published)
        await self._ports.publish(member)
        self._published = {group.port for group in found}

    async def _publish_names(self) -> None:
        async def tell() -> None:
            await self._resolver.publish(zones_of(self._owner, self._members.values()))

        await self._naming.ask(tell)

    # What passed.

    def counts(self, instance: InstanceId) -> TrafficCounts | None:
        """See Networks."""
        return self._counts.get(instance)

    async def count(self) -> None:
        """See Networks."""
        if not self._members or trio.current_time() - self._counted_at < _COUNTS_SECONDS:
            return
        self._counted_at = trio.current_time()
        wishes = self._network.wishes
        with suppress(KwhostError):  # what was counted last stays
            found = await trio.to_thread.run_sync(read_counts, HostNetwork(self._owner), wishes)
            self._counts = {instance: traffic_of(counts) for instance, counts in found.items()}


def _open_taps(host: HostNetwork, member: Member, queues: int) -> tuple[Tap, ...]:
    return (tap_of(member, tuple(host.open_tap(attachment_of(member), queues))),)
