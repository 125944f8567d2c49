"""Whether a tenant may have one instance more. Pure; asked before anything is made."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kwhost.core.errors import QuotaExceeded
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.floors import isolation_of, meets
from kwhost.core.model.ids import TenantName
from kwhost.core.model.instance import Engine
from kwhost.core.model.tenant import Tenant
from kwhost.core.model.units import format_bytes

__all__ = ["check_admission", "check_storage", "quota_use"]


class _Resource(NamedTuple):
    name: str
    of: Callable[[InstanceDefinition], float | None]
    show: Callable[[float], str]


def _plain(value: float) -> str:
    return f"{value:g}"


def _bytes(value: float) -> str:
    return format_bytes(int(value))


_RESOURCES = (
    _Resource("cpus", lambda definition: definition.limits.cpus, _plain),
    _Resource("memory", lambda definition: definition.limits.memory, _bytes),
    _Resource("storage", lambda definition: definition.limits.storage, _bytes),
    _Resource("pids", lambda definition: definition.limits.pids, _plain),
)


def quota_use(tenant: Tenant, present: Sequence[InstanceDefinition], kept: int = 0) -> dict[str, float]:
    """What a tenant's instances have been promised, by the quota's name; `kept`: the bytes that its volumes
    and images have besides."""
    use = {"max_instances": float(len(present))}
    for resource in _RESOURCES:
        use[resource.name] = sum(resource.of(definition) or 0 for definition in present)
    use["storage"] += kept
    return {name: value for name, value in use.items() if hasattr(tenant.quota, name)}


def _check_isolation(tenant: Tenant, definition: InstanceDefinition) -> None:
    engine = definition.engine
    if engine is not Engine.AUTO and not meets(isolation_of(engine.value), tenant.isolation):
        raise QuotaExceeded(
            f"tenant {tenant.name} asks for isolation {tenant.isolation.value!r} at least, which the engine "
            f"{engine.value!r} of {definition.name} does not give; choose another engine, or another "
            "isolation in the tenant's table"
        )


def check_admission(
    tenant: Tenant, definition: InstanceDefinition, present: Sequence[InstanceDefinition], kept: int = 0
) -> None:
    """Raise QuotaExceeded, with the quota, what is used and what was asked, where it does not fit. `kept`: as
    in quota_use."""
    _check_isolation(tenant, definition)
    allowed = tenant.quota.max_instances
    if allowed is not None and len(present) + 1 > allowed:
        raise QuotaExceeded(
            f"tenant {tenant.name} has {len(present)} of {allowed} instances: none is left for "
            f"{definition.name}; remove one, or raise max_instances"
        )
    for resource in _RESOURCES:
        quota = getattr(tenant.quota, resource.name)
        if quota is None:
            continue
        asked = resource.of(definition)
        if asked is None:
            raise QuotaExceeded(
                f"tenant {tenant.name} has a quota of {resource.name}, so {definition.name} must say how "
                f"much it needs: give it a limit ({resource.name} = ...)"
            )
        used = quota_use(tenant, present, kept)[resource.name]
        if used + asked > quota:
            raise QuotaExceeded(
                f"tenant {tenant.name} has {resource.show(used)} of {resource.show(quota)} {resource.name} "
                f"in use; {definition.name} asks for {resource.show(asked)} more"
            )


def check_storage(tenant: TenantName, used: int, quota: int | None, what: str, size: int) -> None:
    """The same for what is no instance. `used`: by instances, volumes and images."""
    if quota is not None and used + size > quota:
        raise QuotaExceeded(
            f"tenant {tenant} has {format_bytes(used)} of {format_bytes(quota)} storage in use; {what} asks "
            f"for {format_bytes(size)} more"
        )
