"""What the tables of a configuration say of each other about networks: names, ports, subnets."""

from collections.abc import Sequence
from ipaddress import IPv4Network, ip_network

from kwhost.core.config.build import DeclaredInstance, DeclaredTenant
from kwhost.core.config.problems import Place
from kwhost.core.config.tables import Settings
from kwhost.core.model.network import (
    HOST_NETWORK,
    NO_NETWORK,
    NO_TRAFFIC_OF_ITS_OWN,
    TENANT_NETWORK,
    PublishedPort,
    Transport,
)
from kwhost.core.model.tenant import Tenant

__all__ = ["check_networks", "default_network"]


def default_network(tenant: Tenant, *, pooled: bool) -> str:
    """Of instances that name none; `pooled`: the host has a subnet_pool."""
    return TENANT_NETWORK if pooled or tenant.network else NO_NETWORK


def check_networks(tenants: Sequence[DeclaredTenant], host: Settings, place: Place) -> None:
    """Report all that is wrong; `host` and `place` are those of `[host]`."""
    _check_pool(host, place.below("subnet_pool"))
    _check_subnets(tenants)
    owners: dict[tuple[Transport, str, int], str] = {}
    for tenant in tenants:
        network = default_network(tenant.tenant, pooled="subnet_pool" in host)
        for instance in tenant.instances:
            _check_network(instance, instance.definition.network or network, host)
            _check_ports(tenant.tenant, instance, owners)


def _check_pool(host: Settings, place: Place) -> None:
    versions = [net.version for net in host.get("subnet_pool", ())]
    if len(set(versions)) != len(versions):
        place.report("must have one IPv4 and one IPv6 network at most")


def _check_subnets(tenants: Sequence[DeclaredTenant]) -> None:
    taken: dict[IPv4Network, str] = {}
    for declared in tenants:
        network = declared.tenant.network
        if network is None or network.subnet is None:
            continue
        mine = IPv4Network(network.subnet)
        for other, owner in taken.items():
            if mine.overlaps(other):
                where = declared.place.below("network", "subnet")
                where.report(f"{mine} and {other}, of the tenant {owner}, share addresses")
        taken[mine] = declared.tenant.name


def _check_network(instance: DeclaredInstance, network: str, host: Settings) -> None:
    if network == HOST_NETWORK and not host.get("allow_host_network", False):
        instance.place.below("network").report(
            '"host" is not allowed: the instance would reach all that this host does; '
            "[host] allow_host_network = true allows it"
        )
    if network == TENANT_NETWORK:
        return
    for key, is_set in (
        ("ports", bool(instance.definition.ports)),
        ("traffic", instance.definition.traffic != NO_TRAFFIC_OF_ITS_OWN),
    ):
        if is_set and network in (NO_NETWORK, HOST_NETWORK):
            instance.place.below(key).report(f'has no meaning with network = "{network}"; "tenant" has {key}')


def _check_ports(
    tenant: Tenant, instance: DeclaredInstance, owners: dict[tuple[Transport, str, int], str]
) -> None:
    own = f"{tenant.name}/{instance.definition.name}"
    for index, published in enumerate(instance.definition.ports):
        place = instance.place.below("ports", index)
        if published.address and ip_network(published.address).is_multicast:
            place.report(f"{published.address} is no address of this host")
        for address in _clashing(published, owners):
            place.report(f"{published} is taken by {owners[published.transport, address, published.port]}")
            break
        owners[published.transport, published.address, published.port] = own


def _clashing(published: PublishedPort, owners: dict[tuple[Transport, str, int], str]) -> list[str]:
    """Addresses with the same port, where one of the two is all addresses."""
    return [
        address
        for transport, address, port in owners
        if (transport, port) == (published.transport, published.port)
        and (address == published.address or "" in (address, published.address))
    ]
