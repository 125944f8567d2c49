"""What every engine offers."""

import os
import socket
import subprocess
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kwhost.core.model.instance import LaunchPlan

if TYPE_CHECKING:
    from kwhost.core.model.taps import Tap

__all__ = ["NO_POLICY", "Engine", "HostedEnds", "Launched", "PolicyFds"]


class Launched(NamedTuple):
    """An instance whose start was begun: its supervising process, and this process's ends to it.

    Whoever has it closes it. Nothing here needs an event loop, so that an instance can start while
    one is still being loaded. `notified_only`: see statistics.InstanceStatistics.
    """

    process: subprocess.Popen[bytes]
    control: socket.socket
    lifeline: int
    stats: int
    started_ns: int
    notified_only: bool = False

    def abandon(self) -> None:
        """End the instance and wait for its end."""
        os.close(self.lifeline)
        self.process.wait()
        self.control.close()
        os.close(self.stats)


class PolicyFds(NamedTuple):
    """Memfds, which stay the caller's, or -1: a compiled policy (struct kw_policy), what the jail is made
    from (struct kw_ceiling), and in the foreground where to note what the program does (struct kw_learn)."""

    table: int = -1
    ceiling: int = -1
    learn: int = -1


NO_POLICY = PolicyFds()


class HostedEnds(NamedTuple):
    """Descriptors for an instance that outlives whoever started it; the caller keeps and closes its own.

    `control`: a listening socket; `log_dir`: a directory; `exit`: the pre-allocated exit file; `stats`: the
    statistics page; `cgroups` and `guest_cgroups`: cgroup.procs files, of `supervise` and of the instance's
    processes, of which `counted_cgroup` counts nobody else; `stdio`: the first attachment's standard input,
    output and error, or None; `netns`: a network namespace that is set up, -1: an empty one is made;
    `secrets`: see Engine; `taps`: for an engine that wants `tap_queues`.
    """

    control: int
    log_dir: int
    exit: int
    stats: int
    cgroups: tuple[int, ...] = ()
    guest_cgroups: tuple[int, ...] = ()
    counted_cgroup: int = -1
    policy: PolicyFds = NO_POLICY
    stdio: tuple[int, int, int] | None = None
    netns: int = -1
    secrets: int = -1
    taps: "tuple[Tap, ...]" = ()


class Engine(Protocol):
    """Starts instances in one way of isolating them.

    `secrets`, for a plan with MountKind.SECRETS: a file of launch.secrets_file's, which stays the caller's;
    else -1.
    """

    def launch(self, plan: LaunchPlan, policy: PolicyFds = NO_POLICY, secrets: int = -1) -> Launched:
        """Begin to start an instance that uses the caller's standard streams; raises KwhostError."""

    def launch_hosted(self, plan: LaunchPlan, ends: HostedEnds) -> subprocess.Popen[bytes]:
        """Begin to start a hosted instance; returns its `supervise`. Raises KwhostError."""
