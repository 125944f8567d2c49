"""What the tables of a configuration say of each other: references, names, quotas, isolation, policies."""

import pwd
from collections.abc import Sequence

from kwhost.core.config.build import DeclaredInstance, DeclaredTenant
from kwhost.core.config.dependencies import check_dependencies
from kwhost.core.config.problems import Place
from kwhost.core.config.tables import nearest
from kwhost.core.errors import UsageError
from kwhost.core.model.floors import isolation_of, meets
from kwhost.core.model.ids import instance_name
from kwhost.core.model.instance import Engine, Isolation
from kwhost.core.model.units import format_bytes

__all__ = ["check_tenant"]

_SHARED_LIMITS = ("cpus", "memory", "storage", "pids")


def check_tenant(declared: DeclaredTenant, policies: Sequence[str]) -> None:
    """Report all that is wrong with a tenant and its instances as a whole; `policies` are the names that
    there are."""
    _check_users(declared)
    _check_isolation(declared)
    _check_names(declared)
    check_dependencies(declared)
    _check_policies(declared, policies)
    _check_instance_count(declared)
    for limit in _SHARED_LIMITS:
        _check_quota(declared, limit)


def _check_users(declared: DeclaredTenant) -> None:
    for index, user in enumerate(declared.tenant.users):
        try:
            pwd.getpwnam(user)
        except KeyError:
            declared.place.below("users", index).report(f"this host has no user {user}")


def _check_isolation(declared: DeclaredTenant) -> None:
    floor = declared.tenant.isolation
    if floor is Isolation.KERNEL:
        declared.place.below("isolation").report('the isolation "kernel" is not available yet')
    for instance in declared.instances:
        engine = instance.definition.engine
        place = instance.place.below("engine")
        if engine is not Engine.AUTO and not meets(isolation_of(engine.value), floor):
            place.report(f'"{engine.value}" is weaker than the tenant\'s isolation "{floor.value}"')
        elif engine is Engine.KERNEL:
            place.report('the engine "kernel" is not available yet')


def _check_names(declared: DeclaredTenant) -> None:
    """Names of replicas are names too, and none may be another's."""
    owners: dict[str, str] = {}
    for instance in declared.instances:
        own = instance.definition.name
        for name in instance.names():
            if name in owners:
                instance.place.report(f"{owners[name]} and {own} both make an instance {name}; rename one")
            owners[name] = own
        if instance.replicas > 1:
            _check_replica_name(instance)


def _check_replica_name(instance: DeclaredInstance) -> None:
    try:
        instance_name(instance.definition.name)
    except UsageError:
        return  # reported already
    try:
        instance_name(instance.names()[-1])
    except UsageError as error:
        instance.place.report(f"its replicas' names are too long: {error}")


def _check_policies(declared: DeclaredTenant, policies: Sequence[str]) -> None:
    """Each policy that is named is there."""

    def check(name: str | None, place: Place) -> None:
        if name is not None and name not in policies:
            place.below("policy").report(
                f"there is no policy {name}{nearest(name, list(policies), 'the policies are')}"
            )

    check(declared.tenant.policy, declared.place)
    for instance in declared.instances:
        check(instance.definition.policy, instance.place)


def _check_instance_count(declared: DeclaredTenant) -> None:
    asked = sum(instance.replicas for instance in declared.instances)
    quota = declared.tenant.quota.max_instances
    if quota is not None and asked > quota:
        declared.place.below("max_instances").report(
            f"the tenant has {asked} instances, replicas included, which is {asked - quota} too many"
        )


def _check_quota(declared: DeclaredTenant, limit: str) -> None:
    """Instances are admitted one by one; here it shows before any is made that they do not all fit."""
    quota = getattr(declared.tenant.quota, limit)
    if quota is None:
        return
    asked = 0.0
    for instance in declared.instances:
        own = getattr(instance.definition.limits, limit)
        if own is None and not instance.place.below(limit).is_set():
            instance.place.report(f"needs its {limit} = ..., because the tenant has a quota of that")
        asked += (own or 0) * instance.replicas
    # Tenths of CPUs do not add up exactly.
    if asked > quota * (1 + 1e-9):
        declared.place.below(limit).report(
            f"the instances ask for {_show(limit, asked)} together, {_show(limit, asked - quota)} too much"
        )


def _show(limit: str, amount: float) -> str:
    return format_bytes(int(amount)) if limit in ("memory", "storage") else f"{amount:g}"
