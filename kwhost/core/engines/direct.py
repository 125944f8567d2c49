"""The engine `direct`: the program runs on the virtual CPU itself, the monitor serves its system calls."""

import os
import subprocess

from kwhost.core.engines.base import NO_POLICY, HostedEnds, Launched, PolicyFds
from kwhost.core.engines.id_ranges import IdLease
from kwhost.core.engines.kvm_device import open_kvm
from kwhost.core.engines.launch import launch_hosted, launch_supervised
from kwhost.core.model.instance import LaunchPlan

__all__ = ["DirectEngine"]


class DirectEngine:
    """Starts instances; holds their ids until `supervise` does."""

    def __init__(self, lease: IdLease) -> None:
        self._lease = lease

    def launch(self, plan: LaunchPlan, policy: PolicyFds = NO_POLICY, secrets: int = -1) -> Launched:
        """Begin to start an instance; raises KvmError where KVM cannot be used."""
        kvm = open_kvm()
        try:
            return launch_supervised(plan, kvm, self._lease.fd, policy, secrets)
        finally:
            os.close(kvm)

    def launch_hosted(self, plan: LaunchPlan, ends: HostedEnds) -> subprocess.Popen[bytes]:
        """Begin to start a hosted instance; raises KvmError where KVM cannot be used."""
        kvm = open_kvm()
        try:
            return launch_hosted(plan, ends, kvm, self._lease.fd)
        finally:
            os.close(kvm)
