"""Whether this host can have networks of tenants: found by making one, in network namespaces of its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kwhost.core.errors import KwhostError
from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.core.model.network import NetworkLimits
from kwhost.net.addresses import Pool, assign_addresses
from kwhost.net.forwarding import FORWARDING
from kwhost.net.host import HostNetwork
from kwhost.net.names import owner_of
from kwhost.net.namespaces import new_namespace
from kwhost.net.reading import filters_bridged, is_on
from kwhost.net.wishes import Attachment, Namespace, Network, VethEnd, Wishes, namespace_of_descriptor

__all__ = ["filters_bridged", "lacking_forwarding", "lacking_network"]

_OWNER = owner_of("/a trial")
_TENANT, _NAME = TenantName("trial"), InstanceName("one")
# In both directions, so that every kind of link and queue is made; the bridge's own redirection is not.
_LIMITS = NetworkLimits(upload=8_000_000, download=8_000_000, upload_packets=1000, connections=10)


def lacking_network() -> str:
    """What keeps root from having networks of tenants, and what to do about it; empty: nothing."""
    try:
        with _namespace() as host, _namespace() as place:
            failures = HostNetwork(_OWNER, host).reconcile(_wishes(place))
    except KwhostError as error:
        return str(error)
    return next(map(str, failures.values()), "")


def lacking_forwarding() -> list[str]:
    """The settings, as sysctl takes them, without which nobody beyond a tenant's network is called."""
    settings = {one.path: one for one in FORWARDING.values() if not is_on(one.path)}
    return [f"net.{path.replace('/', '.')}={one.value}" for path, one in settings.items()]


def _wishes(place: Namespace) -> Wishes:
    subnet = Pool().subnet(0)
    address4, address6 = assign_addresses(subnet, [_NAME])[_NAME]
    instance = Attachment(
        instance=InstanceId("0" * 12),
        tenant=_TENANT,
        name=_NAME,
        end=VethEnd(namespace=place),
        address4=address4,
        address6=address6,
        limits=_LIMITS,
    )
    return Wishes(owner=_OWNER, networks=(Network(tenant=_TENANT, subnet=subnet),), attachments=(instance,))


@contextmanager
def _namespace() -> Iterator[Namespace]:
    descriptor = new_namespace()
    try:
        yield namespace_of_descriptor(descriptor)
    finally:
        os.close(descriptor)
