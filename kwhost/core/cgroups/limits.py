"""From limits as people write them to what the kernel counts, and what a host cannot hold of them."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from kwhost.core.cgroups.hierarchies import Controller
from kwhost.core.model.definition import BlockLimits, Limits
from kwhost.core.model.tenant import Quota

__all__ = [
    "CPU_PERIOD",
    "Caps",
    "Holder",
    "Missing",
    "cpu_quota",
    "find_missing",
    "instance_caps",
    "lacking_limits",
    "show_tasks",
    "tenant_caps",
]

# Microseconds. The kernel's default: long enough to cost nothing, short enough not to be felt.
CPU_PERIOD = 100_000

# `supervise`, init, and those that are on their way into the instance.
_SUPERVISE_TASKS = 8
# Without monitors: the broker, and what its workers make for a moment (kwhost/monitor/broker). These are one
# for each guest task at most.
_BROKER_TASKS = 1 + 16

_NO_BLOCK_LIMITS = BlockLimits()


class Caps(NamedTuple):
    """The limits of one group; `tasks` are the host's, `guest_tasks` those of the instance's processes alone;
    None is no limit."""

    memory: int | None = None
    cpus: float | None = None
    tasks: int | None = None
    guest_tasks: int | None = None
    block: BlockLimits = _NO_BLOCK_LIMITS


class Missing(NamedTuple):
    """A limit (a field of `Limits`) that this host cannot hold, and why."""

    limit: str
    reason: str


def _tasks(pids: int | None, instances: int = 1) -> int | None:
    """Host tasks behind guest processes and threads.

    Twice as many: KVM adds a worker thread to each process that ran a virtual CPU.
    """
    return None if pids is None else 2 * pids + (1 + _SUPERVISE_TASKS) * instances


def instance_caps(limits: Limits, guest_tasks: int | None = None) -> Caps:
    """Of an instance's group. `guest_tasks`: where no monitors count, its processes and threads."""
    tasks = _tasks(limits.pids)
    if guest_tasks is not None:
        tasks = 2 * guest_tasks + _SUPERVISE_TASKS + _BROKER_TASKS
    return Caps(limits.memory, limits.cpus, tasks, guest_tasks, limits.block)


def tenant_caps(quota: Quota) -> Caps:
    """Of a tenant's group. An instance has a guest process at least, so `pids` bounds instances as well; any
    of them may have a broker."""
    instances = min((count for count in (quota.pids, quota.max_instances) if count is not None), default=1)
    tasks = _tasks(quota.pids, instances)
    return Caps(quota.memory, quota.cpus, None if tasks is None else tasks + _BROKER_TASKS * instances)


def cpu_quota(cpus: float) -> int:
    """Microseconds of processor time in each period."""
    return round(cpus * CPU_PERIOD)


def show_tasks(tasks: int | None) -> str:
    """As pids.max has it."""
    return "max" if tasks is None else f"{tasks}"


class Holder(Protocol):
    """Whatever knows what control groups hold here."""

    def missing(self, limits: Limits) -> tuple[Missing, ...]:
        """Each of these limits that they cannot."""


def lacking_limits(groups: Holder) -> str:
    """Which of the usual limits no control group holds here, and why; "" where one holds each."""
    missing = groups.missing(Limits(memory=1, cpus=1.0, pids=1))
    names = ", ".join(entry.limit for entry in missing)
    return f"no limits of {names}: {missing[0].reason}" if missing else ""


def find_missing(limits: Limits, reasons: Mapping[Controller, str]) -> tuple[Missing, ...]:
    """Every limit asked for whose controller has a reason not to work."""
    asked = {
        "memory": (Controller.MEMORY, limits.memory is not None),
        "cpus": (Controller.CPU, limits.cpus is not None),
        "pids": (Controller.PIDS, limits.pids is not None),
        "block": (Controller.BLOCK, limits.block != _NO_BLOCK_LIMITS),
    }
    return tuple(
        Missing(limit, reasons[controller])
        for limit, (controller, wanted) in asked.items()
        if wanted and controller in reasons
    )
