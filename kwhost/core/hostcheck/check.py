"""All checks of the host together."""

from kwhost.core.hostcheck.kernel import check_kernel_facilities
from kwhost.core.hostcheck.kvm import check_kvm
from kwhost.core.hostcheck.network import check_network
from kwhost.core.hostcheck.report import Finding
from kwhost.core.hostcheck.resources import check_resources
from kwhost.core.hostcheck.volumes import check_volumes

__all__ = ["check_host"]


def check_host() -> list[Finding]:
    """Try everything; takes a few milliseconds and changes nothing."""
    return [*check_kvm(), *check_kernel_facilities(), *check_resources(), *check_volumes(), *check_network()]
