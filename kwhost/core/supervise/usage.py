"""What an instance uses now: its cgroup's figures where it has one, and what its monitors counted."""

import os
from functools import cache

from kwhost.core.cgroups.version import GroupUsage
from kwhost.core.engines.kernel_version import kernel_version
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.status import Usage
from kwhost.core.supervise.networking import TrafficCounts
from kwhost.core.supervise.run import InstanceRun

__all__ = ["measure"]


def measure(run: InstanceRun | None, definition: InstanceDefinition, traffic: TrafficCounts | None) -> Usage:
    """Figures that nobody has are None. Raises nothing: a run may end while it is looked at."""
    limits = definition.limits
    found = run.group.usage() if run else None
    counted = run.statistics(histograms=False) if run else None
    return Usage(
        cpu_seconds=found.cpu_seconds if found else None,
        memory=found.memory if found else None,
        memory_peak=found.memory_peak if found else None,
        memory_limit=limits.memory,
        pids=_count_pids(run, found, definition) if run and found else None,
        pids_limit=limits.pids,
        read_bytes=found.read_bytes if found else None,
        written_bytes=found.written_bytes if found else None,
        calls=counted.call_count if counted else None,
        notified=counted.notified_count if counted else None,
        refused=sum(call.refused for call in counted.calls) if counted else None,
        exits=counted.exits if counted else None,
        faults=counted.faults if counted else None,
        start_seconds=counted.start_seconds if counted else None,
        **(traffic._asdict() if traffic else {}),
    )


def _count_pids(run: InstanceRun, found: GroupUsage, definition: InstanceDefinition) -> int | None:
    """Guest processes and threads."""
    if run.has_monitors:
        return _guest_tasks(found)
    return None if found.guest_tasks is None else max(0, found.guest_tasks - definition.init)


@cache
def _workers_are_threads() -> bool:
    """Since Linux 6.13 KVM's worker is a thread of the process that ran a virtual CPU, before a process."""
    return kernel_version(os.uname().release) >= (6, 13)


def _guest_tasks(found: GroupUsage) -> int | None:
    """Guest processes and threads: the host's without `supervise`, the joiner (which may have ended) and the
    worker that KVM adds to each process."""
    if found.tasks is None or found.processes is None:
        return None
    workers = 0 if _workers_are_threads() else (found.processes - 1) // 2
    # A process that is no worker is kwhost's own, or a guest's with one worker: so many tasks are no guest's.
    return max(0, found.tasks - (found.processes - workers))
