"""Tenants: owners with quotas, a least isolation and users of their own."""

from dataclasses import dataclass

from kwhost.core.model.ids import TenantName
from kwhost.core.model.instance import Isolation
from kwhost.core.model.network import TenantNetwork

__all__ = ["Quota", "Tenant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What all instances of a tenant may have together; None: no limit.

    `memory` and `storage` in bytes, `cpus` in CPUs' worth of time, `pids` in guest processes and threads.
    """

    max_instances: int | None = None
    cpus: float | None = None
    memory: int | None = None
    storage: int | None = None
    pids: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An owner. `users` are names of this host's users; `binds` are directories they may bind. `policy` holds
    for all instances, besides their own; None: none. `network` None: none was configured. `private_images`:
    no page of an image's is shared with anybody else's instances."""

    name: TenantName
    users: tuple[str, ...] = ()
    isolation: Isolation = Isolation.VM
    quota: Quota = Quota()
    binds: tuple[str, ...] = ()
    policy: str | None = None
    network: TenantNetwork | None = None
    private_images: bool = False
