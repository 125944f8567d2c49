"""KVM's own settings, as far as a program in a virtual machine gains by them, and who may use the device."""

import os
import stat
from pathlib import Path

from kwhost.core.hostcheck.security.concern import Concern, State
from kwhost.core.hostcheck.security.files import value_of

__all__ = ["check_kvm_settings"]

_ON = ("Y", "1")
_OFF = ("N", "0")
_FLAWS = "sys/devices/system/cpu/vulnerabilities"


def _parameter(root: Path, module: str, name: str) -> str | None:
    return value_of(root, f"sys/module/{module}/parameters/{name}")


def _check_nested(root: Path) -> Concern:
    values = {module: _parameter(root, module, "nested") for module in ("kvm_intel", "kvm_amd")}
    on = [module for module, value in values.items() if value in _ON]
    off = [module for module, value in values.items() if value in _OFF]
    return Concern(
        name="nested virtualization",
        state=State.RISK if on else State.OK if off else State.UNKNOWN,
        seen=f"{on[0]} offers it" if on else "off" if off else "no such setting",
        risk="a monitor that was taken over reaches more of KVM's code; kwhost's programs do not need it",
        advice=f"options {on[0]} nested=0 in /etc/modprobe.d, unless other guests need it" if on else "",
    )


def _check_emulation(root: Path) -> Concern:
    names = ("enable_vmware_backdoor", "force_emulation_prefix")
    values = {name: _parameter(root, "kvm", name) for name in names}
    on = [name for name, value in values.items() if value not in (None, *_OFF)]
    return Concern(
        name="KVM's emulator",
        state=State.UNKNOWN if all(value is None for value in values.values()) else _state(bad=bool(on)),
        seen=f"open to programs: {', '.join(on)}" if on else "closed to programs where it can be",
        risk="a program in ring 3 has KVM emulate instructions of its choice",
        advice=f"options kvm {' '.join(f'{name}=0' for name in on)} in /etc/modprobe.d",
    )


def _state(*, bad: bool) -> State:
    return State.RISK if bad else State.OK


def _check_huge_pages(root: Path) -> Concern:
    setting = _parameter(root, "kvm", "nx_huge_pages")
    flaw = value_of(root, f"{_FLAWS}/itlb_multihit")
    safe = flaw is not None and flaw.startswith("Not affected")
    return Concern(
        name="kvm.nx_huge_pages",
        state=State.UNKNOWN if setting is None else _state(bad=setting in (*_OFF, "never") and not safe),
        seen=f"{setting or 'no such setting'} (itlb_multihit: {flaw or 'not told'})",
        risk="a guest that changes its page sizes can halt a machine whose processor has the flaw",
        advice="options kvm nx_huge_pages=auto in /etc/modprobe.d",
    )


def _check_cache_flush(root: Path) -> Concern:
    setting = _parameter(root, "kvm_intel", "vmentry_l1d_flush")
    flaw = value_of(root, f"{_FLAWS}/l1tf")
    safe = flaw is not None and flaw.startswith("Not affected")
    never = setting == "never" and not safe
    return Concern(
        name="kvm_intel.vmentry_l1d_flush",
        state=_state(bad=never) if setting is not None else State.OK if safe else State.UNKNOWN,
        seen=f"{setting or 'no such setting'} (l1tf: {flaw or 'not told'})",
        risk="a guest can read whatever lies in the core's first cache, other tenants' memory included",
        advice="options kvm_intel vmentry_l1d_flush=cond in /etc/modprobe.d",
    )


def _check_device(root: Path) -> Concern:
    try:
        mode = os.stat(root / "dev/kvm").st_mode
    except (OSError, ValueError):
        mode = None
    everybody = mode is not None and bool(mode & stat.S_IWOTH)
    return Concern(
        name="/dev/kvm",
        state=State.UNKNOWN if mode is None else _state(bad=everybody),
        seen="not there" if mode is None else f"mode {stat.S_IMODE(mode):04o}",
        risk="every user of the host reaches KVM's code in the kernel",
        advice="chown root:kvm /dev/kvm; chmod 0660 /dev/kvm (a udev rule keeps it so)",
    )


def check_kvm_settings(root: Path) -> list[Concern]:
    """Parameters of the modules, and the device's mode."""
    return [
        _check_device(root),
        _check_nested(root),
        _check_emulation(root),
        _check_huge_pages(root),
        _check_cache_flush(root),
    ]
