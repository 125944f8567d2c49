"""The engine `process`: the program is a process of the host's kernel, in namespaces of its own, under a
seccomp filter and Landlock rules. For hosts without KVM, and weaker."""

import subprocess

from kwhost.core.engines.base import NO_POLICY, HostedEnds, Launched, PolicyFds
from kwhost.core.engines.id_ranges import IdLease
from kwhost.core.engines.launch import launch_hosted, launch_supervised
from kwhost.core.model.instance import LaunchPlan

__all__ = ["ProcessEngine"]


class ProcessEngine:
    """Starts instances; holds their ids until `supervise` does."""

    def __init__(self, lease: IdLease) -> None:
        self._lease = lease

    def launch(self, plan: LaunchPlan, policy: PolicyFds = NO_POLICY, secrets: int = -1) -> Launched:
        """Begin to start an instance."""
        return launch_supervised(plan, None, self._lease.fd, policy, secrets)

    def launch_hosted(self, plan: LaunchPlan, ends: HostedEnds) -> subprocess.Popen[bytes]:
        """Begin to start a hosted instance."""
        return launch_hosted(plan, ends, None, self._lease.fd)
