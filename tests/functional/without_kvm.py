"""A host without KVM: kwhost's commands in a mount namespace where another device lies at its place."""

import os

from kwhost.core.engines.kvm_device import KVM_DEVICE
from tests.functional.hosting import Daemon

__all__ = ["WithoutKvm", "hide_kvm"]

_HIDE = f'mount --bind /dev/null {KVM_DEVICE} && exec "$@"'


def hide_kvm(*command: str) -> list[str]:
    """The command where KVM cannot be used; it needs root."""
    if not os.path.exists(KVM_DEVICE):
        return list(command)
    return ["unshare", "--mount", "sh", "-c", _HIDE, "sh", *command]


class WithoutKvm(Daemon):
    """All its commands are without; `kvm` gives it to those that are started from then on."""

    kvm = False

    def command(self, *arguments: str) -> list[str]:
        command = super().command(*arguments)
        return command if self.kvm else hide_kvm(*command)
