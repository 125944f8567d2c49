"""What changes from one configuration to the next, and what each change needs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from kwhost.core.config.configuration import Configuration
from kwhost.core.config.host import HostConfig
from kwhost.core.model.definition import BlockLimits, InstanceDefinition, Restart
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.network import NO_TRAFFIC_OF_ITS_OWN
from kwhost.core.model.policy import DEFAULT_POLICY
from kwhost.core.model.tenant import Tenant

__all__ = ["Difference", "HostChange", "InstanceKey", "compare"]

# A running daemon can take these over; all other fields of HostConfig it has used already.
_HOST_LIVE = ("log_level", "log", "insecure_registries")


class InstanceKey(NamedTuple):
    """What names an instance in a configuration."""

    tenant: TenantName
    name: InstanceName


class HostChange(NamedTuple):
    """A field of HostConfig that differs."""

    field: str
    needs_restart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What to do with what runs; tenants and instances are as they are to be, in the new file's order.

    `plugins` names the sections `[plugins.NAME]` that differ, are new or are gone.
    """

    host: tuple[HostChange, ...] = ()
    plugins: tuple[str, ...] = ()
    tenants_added: tuple[Tenant, ...] = ()
    tenants_removed: tuple[TenantName, ...] = ()
    tenants_changed: tuple[Tenant, ...] = ()
    added: tuple[InstanceDefinition, ...] = ()
    removed: tuple[InstanceKey, ...] = ()
    to_restart: tuple[InstanceDefinition, ...] = ()
    changed_in_place: tuple[InstanceDefinition, ...] = ()
    unchanged: tuple[InstanceKey, ...] = ()

    def is_empty(self) -> bool:
        """Nothing differs."""
        return replace(self, unchanged=()) == Difference()


def _key(definition: InstanceDefinition) -> InstanceKey:
    return InstanceKey(definition.tenant, definition.name)


def _fixed_at_start(definition: InstanceDefinition) -> InstanceDefinition:
    """The definition without what a running instance can be given."""
    return replace(
        definition,
        restart=Restart.NO,
        healthcheck=None,
        depends_on=(),
        stop_timeout=0.0,
        ports=(),
        traffic=NO_TRAFFIC_OF_ITS_OWN,
        # A change beyond what the run was started for waits for its next start.
        policy=DEFAULT_POLICY,
        # Memory, pids and storage are held by the monitors and mounts of the run too.
        limits=replace(definition.limits, cpus=None, block=BlockLimits()),
    )


def _compare_host(old: HostConfig, new: HostConfig) -> tuple[HostChange, ...]:
    return tuple(
        HostChange(field, field not in _HOST_LIVE)
        for field in HostConfig._fields
        if getattr(old, field) != getattr(new, field)
    )


def _compare_sections(old: Mapping[str, object], new: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(
        sorted(
            name
            for name in old.keys() | new.keys()
            if name not in old or name not in new or old[name] != new[name]
        )
    )


def compare(old: Configuration, new: Configuration) -> Difference:
    """How to come from `old` to `new`."""
    old_tenants = {tenant.name: tenant for tenant in old.tenants}
    new_tenants = {tenant.name: tenant for tenant in new.tenants}
    before = {_key(definition): definition for definition in old.definitions}
    after = {_key(definition): definition for definition in new.definitions}
    differing = [key for key in after if key in before and after[key] != before[key]]
    to_restart = [key for key in differing if _fixed_at_start(after[key]) != _fixed_at_start(before[key])]
    return Difference(
        host=_compare_host(old.host, new.host),
        plugins=_compare_sections(old.plugin_sections, new.plugin_sections),
        tenants_added=tuple(tenant for name, tenant in new_tenants.items() if name not in old_tenants),
        tenants_removed=tuple(name for name in old_tenants if name not in new_tenants),
        tenants_changed=tuple(
            tenant
            for name, tenant in new_tenants.items()
            if name in old_tenants and tenant != old_tenants[name]
        ),
        added=tuple(after[key] for key in after if key not in before),
        removed=tuple(key for key in before if key not in after),
        to_restart=tuple(after[key] for key in to_restart),
        changed_in_place=tuple(after[key] for key in differing if key not in to_restart),
        unchanged=tuple(key for key in after if key in before and after[key] == before[key]),
    )
