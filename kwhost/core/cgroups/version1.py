"""Version 1: a hierarchy for each controller. `supervise` joins the instance's group in each of them but the
freezer's, where only the instance's processes are.

Sources: Documentation/admin-guide/cgroup-v1/, sched-bwc.rst. The limits for block devices hold for what a
process reads, writes directly or syncs; what the kernel writes back later is nobody's in version 1.
"""

from collections.abc import Mapping
from pathlib import Path

from kwhost.core.cgroups.disks import whole_disks
from kwhost.core.cgroups.files import (
    Setting,
    add_up,
    count_processes,
    make_directories,
    read_keyed,
    read_number,
    read_text,
)
from kwhost.core.cgroups.hierarchies import Controller
from kwhost.core.cgroups.limits import CPU_PERIOD, Caps, Missing, cpu_quota, find_missing, show_tasks
from kwhost.core.cgroups.version import GroupUsage
from kwhost.core.errors import LimitError
from kwhost.core.model.definition import BlockLimits, Limits

__all__ = ["Version1"]


class Version1:
    """`bases` by controller; `reasons` says why those that are not among them cannot be used."""

    number = 1

    def __init__(self, bases: Mapping[Controller, Path], reasons: Mapping[Controller, str]) -> None:
        self._bases = bases
        self._reasons = reasons

    def prepare(self) -> None:
        """Make the bases; each controller works wherever its hierarchy does."""
        make_directories(self.bases())

    def bases(self) -> tuple[Path, ...]:
        """One for each hierarchy; controllers that are mounted together share theirs."""
        return tuple(dict.fromkeys(self._bases.values()))

    def missing(self, limits: Limits) -> tuple[Missing, ...]:
        """Each limit that cannot be held here, with the reason."""
        return find_missing(limits, self._reasons)

    def tenant_settings(self, tenant: str, caps: Caps) -> list[Setting]:
        """The limits."""
        settings = []
        if memory := self._directory(Controller.MEMORY, tenant):
            settings += _memory_settings(memory, caps.memory)
        if cpu := self._directory(Controller.CPU, tenant):
            quota = "-1" if caps.cpus is None else f"{cpu_quota(caps.cpus)}"
            settings += [
                Setting(cpu / "cpu.cfs_period_us", f"{CPU_PERIOD}"),
                Setting(cpu / "cpu.cfs_quota_us", quota),
            ]
        if pids := self._directory(Controller.PIDS, tenant):
            settings.append(Setting(pids / "pids.max", show_tasks(caps.tasks)))
        if block := self._directory(Controller.BLOCK, tenant):
            settings += _block_settings(block, caps.block)
        return settings

    def instance_directories(self, group: str) -> tuple[Path, ...]:
        """One in each hierarchy, and the guest's part of that which counts processes."""
        pids = self._directory(Controller.PIDS, group)
        return (*(base / group for base in self.bases()), *([pids / "guest"] if pids else []))

    def instance_settings(self, group: str, caps: Caps) -> list[Setting]:
        """The limits, as for tenants, and that of the guest's part."""
        settings = self.tenant_settings(group, caps)
        if pids := self._directory(Controller.PIDS, group):
            settings.append(Setting(pids / "guest/pids.max", show_tasks(caps.guest_tasks), optional=True))
        return settings

    def guest_directories(self, group: str) -> tuple[Path, ...]:
        """One in each hierarchy."""
        pids = self._directory(Controller.PIDS, group)
        directories = (base / group for base in self.bases())
        return tuple(each / "guest" if each == pids else each for each in directories)

    def counting_directory(self, group: str) -> Path | None:
        """In the hierarchy for that."""
        pids = self._directory(Controller.PIDS, group)
        return pids / "guest" if pids else None

    def supervise_directories(self, group: str) -> tuple[Path, ...]:
        """Out of the freezer's, up to the tenant's, and out of the guest's part; `supervise` stays in the
        others."""
        freezer, pids = self._directory(Controller.FREEZER, group), self._directory(Controller.PIDS, group)
        directories = (freezer and freezer.parent, None if pids == freezer else pids)
        return tuple(each for each in directories if each)

    def usage(self, group: str) -> GroupUsage:
        """What the instance uses; read and written bytes are known only once a disk's limit was set."""
        nanoseconds = self._number(Controller.ACCOUNTING, group, "cpuacct.usage")
        block = self._directory(Controller.BLOCK, group)
        memory = self._directory(Controller.MEMORY, group)
        pids = self._directory(Controller.PIDS, group)
        served = block and read_text(block / "blkio.throttle.io_service_bytes")
        counted = [fields for line in (served or "").splitlines() if len(fields := line.split()) == 3]
        return GroupUsage(
            cpu_seconds=None if nanoseconds is None else nanoseconds / 1e9,
            memory=self._number(Controller.MEMORY, group, "memory.usage_in_bytes"),
            memory_peak=self._number(Controller.MEMORY, group, "memory.max_usage_in_bytes"),
            read_bytes=add_up(value for _, kind, value in counted if kind == "Read") if counted else None,
            written_bytes=add_up(value for _, kind, value in counted if kind == "Write") if counted else None,
            tasks=read_number(pids / "pids.current") if pids else None,
            processes=count_processes([pids, pids / "guest"]) if pids else None,
            guest_tasks=read_number(pids / "guest/pids.current") if pids else None,
            oom_kills=read_keyed(memory / "memory.oom_control", "oom_kill") if memory else None,
        )

    def freezing(self, group: str, *, frozen: bool) -> list[Setting]:
        """The freezer's state."""
        freezer = self._directory(Controller.FREEZER, group)
        if not freezer:
            raise LimitError(f"instances cannot be paused here: {self._reasons[Controller.FREEZER]}")
        return [Setting(freezer / "freezer.state", "FROZEN" if frozen else "THAWED", optional=not frozen)]

    def is_frozen(self, group: str) -> bool:
        """It says FREEZING until the last process stands still."""
        freezer = self._directory(Controller.FREEZER, group)
        return freezer is not None and (read_text(freezer / "freezer.state") or "").strip() == "FROZEN"

    def killing(self, group: str) -> list[Setting]:
        """No new processes, so that signals win against a fork bomb; and a frozen process would not die."""
        settings = []
        if pids := self._directory(Controller.PIDS, group):
            settings.append(Setting(pids / "pids.max", "0", optional=True))
        if Controller.FREEZER in self._bases:
            settings += self.freezing(group, frozen=False)
        return settings

    def _directory(self, controller: Controller, group: str) -> Path | None:
        base = self._bases.get(controller)
        return base / group if base else None

    def _number(self, controller: Controller, group: str, file: str) -> int | None:
        directory = self._directory(controller, group)
        return read_number(directory / file) if directory else None


def _memory_settings(directory: Path, limit: int | None) -> list[Setting]:
    """Memory and swap together are never allowed less than memory, so they are lifted first and set last."""
    both = directory / "memory.memsw.limit_in_bytes"
    value = "-1" if limit is None else f"{limit}"
    return [
        Setting(both, "-1", optional=True),
        Setting(directory / "memory.limit_in_bytes", value),
        Setting(both, value, optional=True),
    ]


def _block_settings(directory: Path, limits: BlockLimits) -> list[Setting]:
    """For each limit that is wanted, or that is there already; 0 lifts it."""
    files = {
        directory / "blkio.throttle.read_bps_device": limits.read_bytes,
        directory / "blkio.throttle.write_bps_device": limits.write_bytes,
        directory / "blkio.throttle.read_iops_device": limits.read_operations,
        directory / "blkio.throttle.write_iops_device": limits.write_operations,
    }
    return [
        Setting(file, f"{disk} {limit or 0}")
        for file, limit in files.items()
        if limit is not None or read_text(file)
        for disk in whole_disks()
    ]
