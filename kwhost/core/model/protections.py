"""What stands between a program that the engine `process` runs and the host.

Everything holds where user namespaces can be made; where they are refused (a plain container, a sysctl) some
of it does not, and is told with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["ALL_HOLD", "Protection", "Protections"]


class Protection(Enum):
    """One of them; the value is its name everywhere."""

    USER_NAMESPACE = "user_namespace"
    MOUNTS = "mounts"
    PIDS = "pids"
    NETWORK = "network"
    IPC = "ipc"
    UTS = "uts"
    CGROUP = "cgroup"
    LANDLOCK = "landlock"
    SECCOMP = "seccomp"
    CAPABILITIES = "capabilities"
    BROKER = "broker"

    @property
    def meaning(self) -> str:
        """What is so while it holds, in a few words."""
        return _MEANINGS[self]


_MEANINGS = {
    Protection.USER_NAMESPACE: "the program's user ids mean nothing outside",
    Protection.MOUNTS: "a root file system of its own",
    Protection.PIDS: "no process outside can be seen or signalled",
    Protection.NETWORK: "no address of the host's can be reached",
    Protection.IPC: "no queues or shared memory of others",
    Protection.UTS: "a host name of its own",
    Protection.CGROUP: "limits of processors, memory and processes, and one place to end all",
    Protection.LANDLOCK: "a second wall around files: beyond its own none is changed or executed",
    Protection.SECCOMP: "only the system calls that the policy and the engine allow",
    Protection.CAPABILITIES: "no power over the host",
    Protection.BROKER: "rules on paths and addresses, questions, and counts of refused calls",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Protections:
    """Which hold for an instance, or would on this host: all but those in `missing`, which says why each
    does not. `weaker` says of some that hold in which way less than usual does."""

    missing: Mapping[Protection, str] = field(default_factory=dict)
    weaker: Mapping[Protection, str] = field(default_factory=dict)

    def holds(self, protection: Protection) -> bool:
        """Whether it does."""
        return protection not in self.missing

    @property
    def holding(self) -> tuple[Protection, ...]:
        """Those that do."""
        return tuple(filter(self.holds, Protection))


ALL_HOLD = Protections()
