"""Two tenants with three instances each, their host, and what is outside; all in namespaces."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network

from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.network import EgressRule
from kwhost.net.addresses import Pool, assign_addresses, assign_subnets
from kwhost.net.host import HostNetwork
from kwhost.net.names import owner_of
from kwhost.net.wishes import Attachment, Namespace, Network, VethEnd, Wishes
from tests.net.namespaces import join, new_namespace, set_address, write_setting

__all__ = ["OUTSIDE4", "OUTSIDE6", "World", "make_world"]

OWNER = owner_of("/tests")
TENANTS = (TenantName("acme"), TenantName("globex"))
NAMES = (InstanceName("one"), InstanceName("two"), InstanceName("three"))
# Addresses of others outside: public, of the local network, of the cloud's metadata service.
OUTSIDE4, OUTSIDE6 = "8.8.8.8", "2606:4700::8"
LOCAL4, LOCAL6, METADATA = "192.168.7.2", "fd99::2", "169.254.169.254"
HOST_LOCALS = "192.168.7.1/24", "169.254.0.1/16", "fd99::1/64"
HOST4, HOST6 = "8.8.8.1", "2606:4700::1"
WORLD = (EgressRule(to=IPv4Network("0.0.0.0/0")), EgressRule(to=IPv6Network("::/0")))


@dataclass(slots=True)
class World:
    """`wishes` are those applied last; `places` are the instances' namespaces, by tenant and name."""

    host: HostNetwork
    namespace: Namespace
    outside: Namespace
    places: dict[tuple[TenantName, InstanceName], Namespace]
    wishes: Wishes

    def apply(self, wishes: Wishes) -> None:
        self.wishes = wishes
        assert self.host.reconcile(wishes) == {}

    def of(self, tenant: int, name: int) -> Attachment:
        """An instance by numbers."""
        wanted = TENANTS[tenant], NAMES[name]
        return next(one for one in self.wishes.attachments if (one.tenant, one.name) == wanted)

    def place(self, one: Attachment) -> Namespace:
        return self.places[one.tenant, one.name]

    def change(self, one: Attachment, **changes: object) -> Attachment:
        """Change one attachment and apply that."""
        changed = replace(one, **changes)  # type: ignore[arg-type]
        others = [other for other in self.wishes.attachments if other.instance != one.instance]
        self.apply(replace(self.wishes, attachments=(*others, changed)))
        return changed


def _wishes(places: dict[tuple[TenantName, InstanceName], Namespace]) -> Wishes:
    subnets = assign_subnets(Pool(), TENANTS)
    addresses = {tenant: assign_addresses(subnets[tenant], NAMES) for tenant in TENANTS}
    return Wishes(
        owner=OWNER,
        networks=tuple(Network(tenant=tenant, subnet=subnets[tenant]) for tenant in TENANTS),
        attachments=tuple(
            Attachment(
                instance=InstanceId(os.urandom(6).hex()),
                tenant=tenant,
                name=name,
                end=VethEnd(namespace=place),
                address4=addresses[tenant][name][0],
                address6=addresses[tenant][name][1],
            )
            for (tenant, name), place in places.items()
        ),
    )


@contextmanager
def make_world() -> Iterator[World]:
    """Nothing of it is applied yet."""
    with ExitStack() as stack:
        namespace, outside = stack.enter_context(new_namespace()), stack.enter_context(new_namespace())
        join(namespace, "uplink", outside, "eth0")
        locals4 = f"{LOCAL4}/24", f"{METADATA}/16"
        set_address(namespace, "uplink", f"{HOST4}/24", f"{HOST6}/64", *HOST_LOCALS)
        set_address(outside, "eth0", f"{OUTSIDE4}/24", f"{OUTSIDE6}/64", *locals4, f"{LOCAL6}/64")
        write_setting(namespace, "ipv4/ip_forward", "1")
        write_setting(namespace, "ipv6/conf/all/forwarding", "1")
        places = {
            (tenant, name): stack.enter_context(new_namespace()) for tenant in TENANTS for name in NAMES
        }
        yield World(HostNetwork(OWNER, namespace), namespace, outside, places, _wishes(places))
