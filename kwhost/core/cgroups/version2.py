"""Version 2: one hierarchy. Processes are only in leaves, so an instance's group has two: `supervise` and
`guest`. The limits are the group's, for both together.

Source: Documentation/admin-guide/cgroup-v2.rst.
"""

import errno
import os
from pathlib import Path

from kwhost.core.cgroups.disks import whole_disks
from kwhost.core.cgroups.files import (
    Setting,
    add_up,
    apply,
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

__all__ = ["V2_NAMES", "Version2"]

V2_NAMES = {
    Controller.CPU: "cpu",
    Controller.MEMORY: "memory",
    Controller.PIDS: "pids",
    Controller.BLOCK: "io",
}


_PF_KTHREAD = 0x0020_0000
_ADVICE = ": other processes are directly in that group; move them into a group beneath it first"


class Version2:
    """`base` is made in the existing group above it; `inside`: this process itself is in that group."""

    number = 2

    def __init__(self, base: Path, *, inside: bool) -> None:
        self._base = base
        self._inside = inside
        offered = (read_text(base.parent / "cgroup.controllers") or "").split()
        self._reasons = {
            controller: f"the controller {name} of control groups is not enabled in {base.parent}"
            for controller, name in V2_NAMES.items()
            if name not in offered
        }

    def prepare(self) -> None:
        """Make the base and enable every controller in it that can be."""
        make_directories([self._base])
        # Only the real root, which has no type, may have processes besides groups with controllers.
        if self._inside and (self._base.parent / "cgroup.type").exists():
            leaf = self._base.parent / "daemon"
            make_directories([leaf])
            apply([Setting(leaf / "cgroup.procs", f"{os.getpid()}")])
        for controller in self._usable():
            try:
                apply(_enabling(self._base.parent, [controller]))
            except LimitError as error:
                self._reasons[controller] = f"{error}{_ADVICE}" if _is_busy(error) else str(error)
        apply(_enabling(self._base, self._usable()))

    def bases(self) -> tuple[Path, ...]:
        """The only one."""
        return (self._base,)

    def missing(self, limits: Limits) -> tuple[Missing, ...]:
        """Each limit that cannot be held here, with the reason."""
        return find_missing(limits, self._reasons)

    def tenant_settings(self, tenant: str, caps: Caps) -> list[Setting]:
        """The controllers for what is beneath, and the limits."""
        directory = self._base / tenant
        return [*_enabling(directory, self._usable()), *self._limit_settings(directory, caps)]

    def instance_directories(self, group: str) -> tuple[Path, ...]:
        """The group and its leaves."""
        directory = self._base / group
        return directory, directory / "supervise", directory / "guest"

    def instance_settings(self, group: str, caps: Caps) -> list[Setting]:
        """The limits, and that memory ends all of the guest but not `supervise`, which tells of it."""
        directory = self._base / group
        settings = self._limit_settings(directory, caps)
        inside = [each for each in (Controller.MEMORY, Controller.PIDS) if each not in self._reasons]
        settings += _enabling(directory, inside)
        if Controller.MEMORY in inside:
            settings.append(Setting(directory / "guest/memory.oom.group", "1"))
        if Controller.PIDS in inside:
            settings.append(Setting(directory / "guest/pids.max", show_tasks(caps.guest_tasks)))
        return settings

    def supervise_directories(self, group: str) -> tuple[Path, ...]:
        """A leaf."""
        return (self._base / group / "supervise",)

    def guest_directories(self, group: str) -> tuple[Path, ...]:
        """The other leaf."""
        return (self._base / group / "guest",)

    def counting_directory(self, group: str) -> Path | None:
        """The only one."""
        return None if Controller.PIDS in self._reasons else self._base / group / "guest"

    def usage(self, group: str) -> GroupUsage:
        """What the instance uses."""
        directory = self._base / group
        microseconds = read_keyed(directory / "cpu.stat", "usage_usec")
        served = read_text(directory / "io.stat")
        counted = [field.partition("=") for field in (served or "").split()]
        return GroupUsage(
            cpu_seconds=None if microseconds is None else microseconds / 1e6,
            memory=read_number(directory / "memory.current"),
            memory_peak=read_number(directory / "memory.peak"),
            read_bytes=None if served is None else add_up(v for key, _, v in counted if key == "rbytes"),
            written_bytes=None if served is None else add_up(v for key, _, v in counted if key == "wbytes"),
            tasks=read_number(directory / "pids.current"),
            processes=count_processes(self.instance_directories(group)),
            guest_tasks=read_number(directory / "guest/pids.current"),
            oom_kills=read_keyed(directory / "memory.events", "oom_kill"),
        )

    def freezing(self, group: str, *, frozen: bool) -> list[Setting]:
        """The guest's leaf alone, without kernel threads.

        Before Linux 6.13 KVM's workers are kernel threads. Those never freeze, so the group would never count
        as frozen, nor would it when they leave it later. They may be anywhere beneath the limits.
        """
        directory = self._base / group
        file = directory / "guest/cgroup.freeze"
        if not frozen:
            return [Setting(file, "0")]
        pids = (read_text(directory / "guest/cgroup.procs") or "").split()
        workers = [pid for pid in pids if _is_kernel_thread(pid)]
        leave = [Setting(directory / "supervise/cgroup.procs", pid, optional=True) for pid in workers]
        return [Setting(file, "0"), *leave, Setting(file, "1")] if leave else [Setting(file, "1")]

    def is_frozen(self, group: str) -> bool:
        """The kernel says so once the last process stands still."""
        return read_keyed(self._base / group / "guest/cgroup.events", "frozen") == 1

    def killing(self, group: str) -> list[Setting]:
        """Everything at once, frozen or not."""
        return [Setting(self._base / group / "cgroup.kill", "1", optional=True)]

    def _usable(self) -> list[Controller]:
        return [controller for controller in V2_NAMES if controller not in self._reasons]

    def _limit_settings(self, directory: Path, caps: Caps) -> list[Setting]:
        settings = []
        if Controller.MEMORY not in self._reasons:
            swap = directory / "memory.swap.max"
            limited = caps.memory is not None
            settings += [
                Setting(swap, "0" if limited else "max", optional=True),
                Setting(directory / "memory.max", f"{caps.memory}" if limited else "max"),
            ]
        if Controller.CPU not in self._reasons:
            quota = "max" if caps.cpus is None else f"{cpu_quota(caps.cpus)}"
            settings.append(Setting(directory / "cpu.max", f"{quota} {CPU_PERIOD}"))
        if Controller.PIDS not in self._reasons:
            settings.append(Setting(directory / "pids.max", show_tasks(caps.tasks)))
        if Controller.BLOCK not in self._reasons:
            settings += _block_settings(directory, caps.block)
        return settings


def _enabling(directory: Path, controllers: list[Controller]) -> list[Setting]:
    names = " ".join(f"+{V2_NAMES[controller]}" for controller in controllers)
    return [Setting(directory / "cgroup.subtree_control", names)] if names else []


def _is_kernel_thread(pid: str) -> bool:
    """By the flags in proc(5)'s stat, which follow the name in parentheses."""
    fields = (read_text(Path("/proc", pid, "stat")) or "").rpartition(")")[2].split()
    return len(fields) > 6 and bool(int(fields[6]) & _PF_KTHREAD)


def _is_busy(error: LimitError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EBUSY


def _block_settings(directory: Path, limits: BlockLimits) -> list[Setting]:
    """For each disk, where limits are wanted or some are there already."""
    file = directory / "io.max"
    if limits == BlockLimits() and not read_text(file):
        return []
    values = {
        "rbps": limits.read_bytes,
        "wbps": limits.write_bytes,
        "riops": limits.read_operations,
        "wiops": limits.write_operations,
    }
    text = " ".join(f"{key}={'max' if limit is None else limit}" for key, limit in values.items())
    return [Setting(file, f"{disk} {text}") for disk in whole_disks()]
