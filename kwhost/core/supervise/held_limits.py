"""Who holds an instance's limits: its cgroup where there is one, its monitors, `supervise`."""

from typing import NamedTuple

from kwhost.core.cgroups.groups import Cgroups
from kwhost.core.errors import LimitError
from kwhost.core.model.definition import InstanceDefinition, Limits
from kwhost.core.model.instance import Engine, GuestLimits

__all__ = ["Shortage", "find_shortage", "guest_limits", "guest_tasks"]


class Shortage(NamedTuple):
    """Why no cgroup limits memory, and processes; "" where one does, or nothing was asked for."""

    memory: str = ""
    pids: str = ""

    def unheld(self, limits: Limits) -> list[str]:
        """The limits asked for that no control group holds."""
        storage = "" if limits.storage is None else "no group counts it"
        return [name for name, why in (*self._asdict().items(), ("storage", storage)) if why]

    def notices(self, engine: Engine) -> tuple[str, ...]:
        """What is approximate."""
        lines = []
        if self.memory:
            lines.append(f"its limit of memory is approximate: it is sampled, since {self.memory}")
        if self.pids and engine is Engine.PROCESS:
            text = "its limit of processes is approximate: each user in it has that many, since"
            lines.append(f"{text} {self.pids}")
        return tuple(lines)


def guest_limits(limits: Limits, shortage: Shortage, engine: Engine) -> GuestLimits:
    """What the monitors are to hold, and `supervise` where no cgroup limits memory. Without monitors each
    user has a limit of processes where no cgroup has one."""
    memory, pids = limits.memory or 0, limits.pids or 0
    resident = memory if shortage.memory else 0
    if engine is Engine.PROCESS:
        return GuestLimits(pids=pids if shortage.pids else 0, resident=resident)
    return GuestLimits(pids=pids, memory=int(memory * limits.memory_headroom), resident=resident)


def guest_tasks(definition: InstanceDefinition, engine: str) -> int | None:
    """How many processes and threads the cgroup is to allow the instance itself, besides the process that
    reaps; None: monitors count them."""
    pids = definition.limits.pids
    return None if engine != Engine.PROCESS.value or pids is None else pids + definition.init


def find_shortage(cgroups: Cgroups, limits: Limits) -> Shortage:
    """What cgroups do not hold here, though it was asked for. Raises LimitError for a limit that nobody else
    can hold."""
    missing = {entry.limit: entry.reason for entry in cgroups.missing(limits)}
    for limit, reason in missing.items():
        if limit not in ("memory", "pids"):
            raise LimitError(f"{limit} cannot be limited on this host: {reason}")
    return Shortage(missing.get("memory", ""), missing.get("pids", ""))
