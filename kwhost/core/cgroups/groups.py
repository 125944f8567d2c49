"""All control groups of one state directory."""

from collections.abc import Container
from contextlib import suppress
from pathlib import Path

from kwhost.core.cgroups.group import Cgroup, set_quota
from kwhost.core.cgroups.limits import Missing
from kwhost.core.cgroups.placement import detect
from kwhost.core.cgroups.version import Version
from kwhost.core.model.definition import Limits
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.tenant import Quota

__all__ = ["Cgroups"]


class Cgroups:
    """kwhost's groups in each hierarchy: BASE/TENANT/ID. One daemon at a time uses them."""

    def __init__(self, version: Version) -> None:
        self._version = version

    @classmethod
    def open(cls, state_dir: Path) -> "Cgroups":
        """Find out what this host has, and make the base. Raises LimitError."""
        version = detect(state_dir)
        version.prepare()
        return cls(version)

    @property
    def kind(self) -> str:
        """The version that is used: "v1" or "v2"; "none" where there is none that can be used."""
        return f"v{self._version.number}" if self._version.bases() else "none"

    def missing(self, limits: Limits) -> tuple[Missing, ...]:
        """Each of these limits that control groups cannot hold here, with the reason. Whoever asked for them
        holds them in another way, or refuses."""
        return self._version.missing(limits)

    def instance(self, tenant: TenantName, instance: InstanceId) -> Cgroup:
        """The group of an instance, whether it is made or not."""
        return Cgroup(self._version, tenant, instance)

    def set_quota(self, tenant: TenantName, quota: Quota) -> None:
        """Change what all instances of a tenant may have together. Raises LimitError."""
        set_quota(self._version, tenant, quota)

    def leftovers(self, known: Container[InstanceId]) -> tuple[Cgroup, ...]:
        """The groups of instances that nobody knows of, to be killed and removed."""
        found = {
            (TenantName(path.parent.name), InstanceId(path.name))
            for tenant in self._tenant_directories()
            for path in _directories(tenant)
            if path.name not in known
        }
        return tuple(self.instance(tenant, instance) for tenant, instance in sorted(found))

    def close(self) -> None:
        """Remove the tenants' groups without instances, and the base if nothing is left."""
        for directory in (*self._tenant_directories(), *self._version.bases()):
            with suppress(OSError):
                directory.rmdir()

    def _tenant_directories(self) -> list[Path]:
        return [path for base in self._version.bases() for path in _directories(base)]


def _directories(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.is_dir()] if directory.is_dir() else []
