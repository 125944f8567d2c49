"""From settings as they were read to records of tenants and instances."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kwhost.core.config.env_file import read_env_file
from kwhost.core.config.network_schema import tenant_network, traffic
from kwhost.core.config.problems import Place
from kwhost.core.config.tables import Settings
from kwhost.core.errors import UsageError
from kwhost.core.model.definition import BlockLimits, Healthcheck, InstanceDefinition, Limits, ProbeKind
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.secrets import Secret
from kwhost.core.model.tenant import Quota, Tenant
from kwhost.core.model.tmpfs import Tmpfs, by_place, sized, split_visible
from kwhost.core.model.volume import Volume

__all__ = ["DeclaredInstance", "DeclaredTenant", "declare_tenant"]

_LIMITS = ("memory", "memory_headroom", "cpus", "pids", "storage")
_QUOTA = ("max_instances", "cpus", "memory", "storage", "pids")
# Keys that are fields of the definition, under the same name.
_FIELDS = (
    "image",
    "engine",
    "entrypoint",
    "changes",
    "workdir",
    "user",
    "network",
    "ports",
    "policy",
    "init",
    "read_only",
    "interactive",
    "restart",
    "stop_timeout",
    "timeout",
)


class DeclaredInstance(NamedTuple):
    """An instance's table: `definition` is of each of `replicas`, but for its name and dependencies."""

    place: Place
    definition: InstanceDefinition
    replicas: int

    def names(self) -> tuple[str, ...]:
        """Of its replicas."""
        name = self.definition.name
        return (name,) if self.replicas == 1 else tuple(f"{name}-{i}" for i in range(1, self.replicas + 1))


class DeclaredTenant(NamedTuple):
    """A tenant's table with those of its instances, in the file's order."""

    place: Place
    tenant: Tenant
    instances: tuple[DeclaredInstance, ...]


def _chosen(settings: Settings, keys: tuple[str, ...]) -> Settings:
    """What is set, for records whose defaults are those of the schema."""
    return {key: settings[key] for key in keys if key in settings}


def _healthcheck(settings: Settings, place: Place) -> Healthcheck | None:
    kinds = [kind for kind in ProbeKind if place.below(kind.value).is_set()]
    if len(kinds) != 1:
        place.report(f"must have exactly one of command, http and tcp, not {len(kinds)} of them")
        return None
    kind = kinds[0]
    if kind.value not in settings:
        return None  # reported already
    target = settings[kind.value]
    return Healthcheck(
        kind=kind,
        target=target if kind is ProbeKind.COMMAND else (target,),
        **_chosen(settings, ("interval", "timeout", "retries", "start_period")),
    )


def _environment(settings: Settings, place: Place, folder: Path) -> dict[str, str]:
    environment: dict[str, str] = {}
    for file in settings.get("env_file", ()):
        environment |= read_env_file(folder / file, place.below("env_file"))
    environment |= settings.get("env", {})
    return environment


def _visible(settings: Settings, place: Place, folder: Path) -> tuple[tuple[Volume, ...], tuple[Tmpfs, ...]]:
    """Its volumes, and what it has in memory."""
    volumes, tmpfs = split_visible(settings.get("volumes", ()))
    try:
        by_place(volumes, tmpfs, has_secrets="secrets" in settings)
        sized(tmpfs, settings.get("memory"))
    except UsageError as error:
        place.below("volumes").report(str(error))
    absolute = (
        volume if volume.is_named else replace(volume, source=str(folder / volume.source))
        for volume in volumes
    )
    return tuple(absolute), tmpfs


def _declare_instance(
    name: str, settings: Settings, tenant: TenantName, place: Place, folder: Path
) -> DeclaredInstance:
    if "image" in settings and "rootfs" in settings:
        place.below("rootfs").report("there is an image already; write one of the two")
    if not place.below("command").is_set() and settings.get("image", "host") == "host":
        place.report('has no command: write for example command = ["python3", "-m", "http.server"]')
    check = settings.get("healthcheck")
    volumes, tmpfs = _visible(settings, place, folder)
    definition = InstanceDefinition(
        tenant=tenant,
        name=InstanceName(name),
        command=settings.get("command", ()),
        rootfs=str(folder / settings["rootfs"]) if "rootfs" in settings else None,
        environment=_environment(settings, place, folder),
        volumes=volumes,
        tmpfs=tmpfs,
        secrets=tuple(
            Secret(name=name, file=str(folder / file)) for name, file in settings.get("secrets", {}).items()
        ),
        limits=Limits(**_chosen(settings, _LIMITS), block=BlockLimits(**settings.get("block", {}))),
        healthcheck=_healthcheck(check, place.below("healthcheck")) if check is not None else None,
        depends_on=tuple(InstanceName(other) for other in settings.get("depends_on", ())),
        traffic=traffic(settings.get("traffic", {})),
        terminal=settings.get("tty", False),
        **_chosen(settings, _FIELDS),
    )
    return DeclaredInstance(place, definition, settings.get("replicas", 1))


def declare_tenant(name: str, settings: Settings, place: Place, folder: Path) -> DeclaredTenant:
    """The records of a tenant's table; paths of instances are relative to `folder`."""
    tenant = Tenant(
        name=TenantName(name),
        quota=Quota(**_chosen(settings, _QUOTA)),
        network=tenant_network(settings["network"]) if "network" in settings else None,
        **_chosen(settings, ("users", "isolation", "binds", "policy", "private_images")),
    )
    instances = tuple(
        _declare_instance(instance, table, tenant.name, place.below("instances", instance), folder)
        for instance, table in settings.get("instances", {}).items()
    )
    return DeclaredTenant(place, tenant, instances)
