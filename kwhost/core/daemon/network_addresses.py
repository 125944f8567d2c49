"""Which addresses tenants and instances have on this host: those that they had before, as far as they can."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from ipaddress import IPv4Address, IPv4Network, IPv6Network

import trio

from kwhost.core.daemon.network_members import make_addresses, subnet_of
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.network import InstanceAddresses, Prefix
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.net.addresses import Pool, Subnet, Used, assign_addresses, assign_subnets
from kwhost.net.host import HostNetwork
from kwhost.net.names import Owner

__all__ = ["Addresses"]


class Addresses:
    """`records` are those of all instances; `pool` is the operator's, or empty."""

    def __init__(
        self, owner: Owner, pool: Iterable[Prefix], records: Callable[[], Iterable[InstanceRecord]]
    ) -> None:
        self._owner = owner
        self._pool = _pool(pool)
        self._records = records
        self._planned: dict[InstanceId, InstanceAddresses] = {}
        self._turn = trio.Lock()
        self._subnets = {
            record.tenant: subnet_of(record.addresses) for record in records() if record.addresses
        }

    async def plan(
        self, record: InstanceRecord, tenant: Tenant, attached: AbstractSet[TenantName]
    ) -> InstanceAddresses:
        """Addresses for an instance; `attached` are the tenants whose subnets are in use. Raises Conflict,
        NetworkError."""
        async with self._turn:
            subnet = await self._subnet(tenant, attached)
            names = {each.id: each.name for each in self._records() if each.tenant == tenant.name}
            known = {each.id: each.addresses for each in self._records() if each.addresses} | self._planned
            kept = {
                names[instance]: IPv4Address(addresses.address4)
                for instance, addresses in known.items()
                if instance in names and subnet_of(addresses) == subnet
            }
            chosen = assign_addresses(subnet, [record.name], kept=kept)[record.name]
            self._planned[record.id] = make_addresses(self._owner, record, subnet, chosen)
            return self._planned[record.id]

    def forget(self, instance: InstanceId) -> None:
        """Its record has them now, or it has none."""
        self._planned.pop(instance, None)

    async def _subnet(self, tenant: Tenant, attached: AbstractSet[TenantName]) -> Subnet:
        """A tenant's, which does not change while something is attached to it."""
        known = self._subnets.get(tenant.name)
        wanted = tenant.network.subnet if tenant.network else None
        if known and (tenant.name in attached or wanted in (None, str(known.net4))):
            return known
        used = await trio.to_thread.run_sync(HostNetwork(self._owner).used)
        # Where another tenant cannot have its own any more, that is an error of its own starts.
        kept = {
            Used(net, f"tenant {name}")
            for name, subnet in self._subnets.items()
            if name != tenant.name
            for net in subnet
        }
        subnet = assign_subnets(self._pool, [tenant.name], used=used | kept)[tenant.name]
        if wanted:
            subnet = subnet._replace(net4=IPv4Network(wanted))
        self._subnets[tenant.name] = subnet
        return subnet


def _pool(prefixes: Iterable[Prefix]) -> Pool:
    pool = Pool()
    for prefix in prefixes:
        if isinstance(prefix, IPv4Network):
            pool = Pool(net4=prefix, net6=pool.net6, length4=max(pool.length4, prefix.prefixlen))
        elif isinstance(prefix, IPv6Network):
            pool = Pool(net4=pool.net4, net6=prefix, length4=pool.length4)
    return pool
