"""The KVM device and what of its interface the direct engine uses."""

import fcntl
import os

from kwhost.core.engines.kvm_device import KVM_DEVICE, open_kvm
from kwhost.core.errors import KvmError
from kwhost.core.hostcheck.report import Finding, Verdict

__all__ = ["check_kvm"]

_KVM_CREATE_VM = 0xAE01
_KVM_CHECK_EXTENSION = 0xAE03
_KVM_CREATE_VCPU = 0xAE41
_ENGINES = ("direct", "kernel")

# Name, number, what it is for. Without these the direct engine cannot work.
_NEEDED = (
    ("KVM_CAP_USER_MEMORY", 3, "guest memory that is the monitor's own"),
    ("KVM_CAP_SYNC_REGS", 74, "registers without a call of their own at each exit"),
    ("KVM_CAP_IMMEDIATE_EXIT", 136, "signals that interrupt the guest"),
    ("KVM_CAP_XCRS", 56, "the guest's vector registers"),
    ("KVM_CAP_XSAVE", 55, "vector registers in signal frames"),
    ("KVM_CAP_READONLY_MEM", 81, "the host's vDSO in the guest"),
)
_CAP_MEMSLOTS = 10
_CAP_MAX_VCPUS = 66
_MEMSLOTS_MIN = 509
_VCPUS_MIN = 64


def _capability(kvm: int, number: int) -> int:
    return fcntl.ioctl(kvm, _KVM_CHECK_EXTENSION, number)


def _check_capabilities(kvm: int) -> list[Finding]:
    missing = [f"{name} ({purpose})" for name, number, purpose in _NEEDED if not _capability(kvm, number)]
    findings = [
        Finding(
            name="KVM capabilities",
            verdict=Verdict.MISSING if missing else Verdict.OK,
            seen="missing " + ", ".join(missing) if missing else f"all {len(_NEEDED)} that are needed",
            advice="a newer kernel has them" if missing else "",
            engines=("direct",),
        )
    ]
    slots, vcpus = _capability(kvm, _CAP_MEMSLOTS), _capability(kvm, _CAP_MAX_VCPUS)
    few = slots < _MEMSLOTS_MIN or vcpus < _VCPUS_MIN
    findings.append(
        Finding(
            name="KVM limits",
            verdict=Verdict.WEAKER if few else Verdict.OK,
            seen=f"{slots} memory slots, {vcpus} virtual CPUs (threads of a process) in a machine",
            advice="programs with many threads or mappings may not run; a newer kernel has more"
            if few
            else "",
            engines=("direct",),
        )
    )
    return findings


def _check_machine(kvm: int) -> Finding:
    """Whether a machine with a virtual CPU can really be made."""
    try:
        vm = fcntl.ioctl(kvm, _KVM_CREATE_VM, 0)
        try:
            os.close(fcntl.ioctl(vm, _KVM_CREATE_VCPU, 0))
        finally:
            os.close(vm)
    except OSError as error:
        return Finding(
            name="virtual machine",
            verdict=Verdict.MISSING,
            seen=f"cannot be made: {error.strerror}",
            advice="another hypervisor may hold the processor's virtualization; stop it, or see dmesg",
            engines=_ENGINES,
        )
    return Finding(name="virtual machine", verdict=Verdict.OK, seen="one was made", engines=_ENGINES)


def check_kvm(device: str = KVM_DEVICE) -> list[Finding]:
    """The device, its abilities, and a machine made and thrown away."""
    try:
        kvm = open_kvm(device)
    except KvmError as error:
        what, _, advice = str(error).partition(": ")
        return [
            Finding(name="KVM", verdict=Verdict.MISSING, seen=what, advice=advice, engines=_ENGINES),
        ]
    try:
        found = Finding(name="KVM", verdict=Verdict.OK, seen=f"{device} opens", engines=_ENGINES)
        return [found, *_check_capabilities(kvm), _check_machine(kvm)]
    finally:
        os.close(kvm)
