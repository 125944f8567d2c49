"""What protects an instance of the engine `process` on this host, and its launch plan accordingly."""

from collections.abc import Collection

from kwhost.core.cgroups.groups import Cgroups
from kwhost.core.cgroups.limits import lacking_limits
from kwhost.core.engines.bare import bare_protections, jail_protections, jail_refused, probe_abilities, sweep
from kwhost.core.errors import UsageError
from kwhost.core.model.definition import Healthcheck, ProbeKind
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.instance import InstanceSpec, LaunchPlan
from kwhost.core.model.protections import Protection, Protections
from kwhost.core.supervise.bare import plan_bare

__all__ = ["check_probe", "is_bare", "protect"]


def is_bare(protections: Protections | None) -> bool:
    """Whether an instance that these hold for does without namespaces and mounts."""
    return protections is not None and not protections.holds(Protection.MOUNTS)


def check_probe(protections: Protections, check: Healthcheck | None) -> None:
    """Raise UsageError for a health check that looks where such an instance has nothing."""
    if is_bare(protections) and check and check.kind is not ProbeKind.COMMAND:
        why = protections.missing[Protection.MOUNTS]
        raise UsageError(f"a health check by {check.kind.value} needs a network, which cannot be had: {why}")


def protect(
    plan: LaunchPlan, spec: InstanceSpec, instance: InstanceId, cgroups: Cgroups, unheld: Collection[str]
) -> tuple[LaunchPlan, Protections]:
    """The plan for what this host allows, and what holds then. `unheld`: limits that no control group holds.
    Raises HostError, LimitError, UsageError."""
    lacking = lacking_limits(cgroups)
    if not jail_refused():
        return plan, jail_protections(probe_abilities(), lacking_cgroup=lacking)
    bare = plan_bare(plan, spec, instance, unheld)
    sweep(instance, spec.rootfs)  # of an earlier run
    return bare, bare_protections(probe_abilities(), lacking_cgroup=lacking)
