"""The control group of one instance."""

import errno
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from kwhost.core.cgroups.files import (
    apply,
    make_directories,
    open_for_writing,
    read_text,
    remove_made,
    remove_tree,
)
from kwhost.core.cgroups.limits import instance_caps, tenant_caps
from kwhost.core.cgroups.version import GroupUsage, Version
from kwhost.core.errors import LimitError
from kwhost.core.model.definition import Limits
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.tenant import Quota

__all__ = ["Cgroup", "set_quota"]

# Processes that stand in an uninterruptible call delay all of these; it rarely lasts milliseconds.
_FREEZE_SECONDS = 5.0
_KILL_SECONDS = 10.0
_REMOVE_SECONDS = 5.0
_LONGEST_PAUSE = 0.05


class Cgroup:
    """An instance's group in each hierarchy, made or not. Where this host has no control groups that can be
    used, it is a group of nothing: it is made, used and removed without effect, and cannot be frozen.
    """

    def __init__(self, version: Version, tenant: TenantName, instance: InstanceId) -> None:
        self._version = version
        self.tenant = tenant
        self.instance = instance
        self._group = f"{tenant}/{instance}"

    def create(self, limits: Limits, quota: Quota, guest_tasks: int | None = None) -> None:
        """Make the group, and the tenant's with its quota where that is not there. All or nothing.
        `guest_tasks`: see `update`.

        Sets the limits that this host can hold: `Cgroups.missing` has told of the others. A group that is
        there already gets these limits. Raises LimitError.
        """
        set_quota(self._version, self.tenant, quota, only_new=True)
        made = make_directories(self._version.instance_directories(self._group))
        try:
            self.update(limits, guest_tasks)
        except BaseException:
            remove_made(made)
            raise

    def update(self, limits: Limits, guest_tasks: int | None = None) -> None:
        """Change the limits of a running instance. Raises LimitError at the first that the kernel refuses.
        `guest_tasks`: how many processes and threads it may have, where no monitors count them."""
        apply(self._version.instance_settings(self._group, instance_caps(limits, guest_tasks)))

    def open_procs(self) -> tuple[int, ...]:
        """Descriptors of what `supervise` writes 0 to, once the instance's first process is there. The caller
        closes them. Raises LimitError."""
        directories = self._version.supervise_directories(self._group)
        return open_for_writing(path / "cgroup.procs" for path in directories)

    def open_guest_procs(self) -> tuple[int, ...]:
        """The same for what it joins before, so that the instance's processes are born there."""
        directories = self._version.guest_directories(self._group)
        return open_for_writing(path / "cgroup.procs" for path in directories)

    def counting_place(self) -> int | None:
        """Which of `open_guest_procs` counts the instance's processes; None: none does."""
        counting = self._version.counting_directory(self._group)
        directories = self._version.guest_directories(self._group)
        return directories.index(counting) if counting in directories else None

    def usage(self) -> GroupUsage:
        """What is used now; everything is None once the group is gone."""
        return self._version.usage(self._group)

    def processes(self) -> set[int]:
        """The host's pids of all processes in the group, `supervise` included."""
        directories = self._version.instance_directories(self._group)
        texts = (read_text(path / "cgroup.procs") or "" for path in directories)
        # 0 is a process outside of our pid namespace; as an argument of kill it would mean ourselves.
        return {int(pid) for text in texts for pid in text.split()} - {0}

    async def freeze(self, timeout: float = _FREEZE_SECONDS) -> None:
        """Stop the instance's processes where they are, and wait until all stand still.

        If that is not so in time, or the wait is cancelled, they go on. Raises LimitError.
        """
        apply(self._version.freezing(self._group, frozen=True))
        try:
            if await _wait_until(self._try_freeze, timeout):
                return
        except BaseException:
            self.thaw()
            raise
        self.thaw()
        raise LimitError(f"instance {self.instance} did not stand still within {timeout:g} s, and goes on")

    def thaw(self) -> None:
        """Let frozen processes go on. Raises LimitError."""
        apply(self._version.freezing(self._group, frozen=False))

    async def kill(self, timeout: float = _KILL_SECONDS) -> None:
        """End everything in the group, `supervise` included, and wait until it is empty.

        For what no `supervise` takes care of any more; there is nothing left to write an exit record. In
        version 1 the group cannot have new processes afterwards. Raises LimitError at the end of the time.
        """
        if not self.processes():  # as it is after an ordinary end
            return
        apply(self._version.killing(self._group))
        if not await _wait_until(self._kill_rest, timeout):
            raise LimitError(
                f"processes {self._name_processes()} of instance {self.instance} cannot be killed"
            )

    async def remove(self, timeout: float = _REMOVE_SECONDS) -> None:
        """Remove the group; right if there is none.

        Its processes must have ended, but the kernel may still be busy with them. Raises LimitError at the
        end of the time.
        """
        if not await _wait_until(self._try_remove, timeout):
            raise LimitError(
                f"the control group of instance {self.instance} cannot be removed: "
                f"processes {self._name_processes()} are in it"
            )

    def _try_freeze(self) -> bool:
        """Whether all stand still; asks again each time, because new ones may have come."""
        apply(self._version.freezing(self._group, frozen=True))
        return self._version.is_frozen(self._group)

    def _kill_rest(self) -> bool:
        """Signal what is left; whether that was nothing."""
        pids = self.processes()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    def _try_remove(self) -> bool:
        """Whether nothing of it is left."""
        try:
            for base in self._version.bases():
                remove_tree(base / self._group)
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            raise LimitError(f"cannot remove the control group {error.filename}: {error.strerror}") from error
        return True

    def _name_processes(self) -> str:
        return " ".join(map(str, sorted(self.processes()))) or "that have just ended"


def set_quota(version: Version, tenant: TenantName, quota: Quota, *, only_new: bool = False) -> None:
    """Make a tenant's groups and set its quota, or that of new groups only. All or nothing.

    Raises LimitError.
    """
    made = make_directories(base / tenant for base in version.bases())
    if only_new and not made:
        return
    try:
        apply(version.tenant_settings(tenant, tenant_caps(quota)))
    except BaseException:
        remove_made(made)
        raise


async def _wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Whether the condition came true in time; looks often at first.

    The kernel's files tell of changes by POLLPRI only, for which trio has no wait.
    """
    import trio  # what `kwhost run` needs before its instance starts does not wait

    pause = 0.0
    with trio.move_on_after(timeout):
        while not condition():
            await trio.sleep(pause)
            pause = min(2 * pause + 0.001, _LONGEST_PAUSE)
        return True
    return condition()
