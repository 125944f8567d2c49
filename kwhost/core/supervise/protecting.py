"""What protects an instance of the engine `process` on this host, and its launch plan accordingly."""

from collections.abc import Collection

from kwhost.core.cgroups.groups import Cgroups
from kwhost.core.engines.bare import bare_protections, jail_protections, jail_refused, probe_abilities, sweep
from kwhost.core.model.definition import Limits
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.instance import InstanceSpec, LaunchPlan
from kwhost.core.model.protections import Protection, Protections
from kwhost.core.supervise.bare import plan_bare

__all__ = ["is_bare", "lacking_cgroup", "protect"]

_EACH = Limits(memory=1, cpus=1, pids=1)


def lacking_cgroup(cgroups: Cgroups) -> str:
    """Which of the usual limits no control group holds here, and why; "" where one holds each."""
    missing = cgroups.missing(_EACH)
    names = ", ".join(entry.limit for entry in missing)
    return f"no limits of {names}: {missing[0].reason}" if missing else ""


def is_bare(protections: Protections | None) -> bool:
    """Whether an instance that these hold for does without namespaces and mounts."""
    return protections is not None and not protections.holds(Protection.MOUNTS)


def protect(
    plan: LaunchPlan, spec: InstanceSpec, instance: InstanceId, cgroups: Cgroups, unheld: Collection[str]
) -> tuple[LaunchPlan, Protections]:
    """The plan for what this host allows, and what holds then. `unheld`: limits that no control group holds.
    Raises HostError, LimitError, UsageError."""
    lacking = lacking_cgroup(cgroups)
    if not jail_refused():
        return plan, jail_protections(probe_abilities(), lacking_cgroup=lacking)
    bare = plan_bare(plan, spec, instance, unheld)
    sweep(instance, spec.rootfs)  # of an earlier run
    return bare, bare_protections(probe_abilities(), lacking_cgroup=lacking)
