"""What processors give away between tenants: shared cores, known flaws, their mitigations, microcode."""

import re
from pathlib import Path

from kwhost.core.hostcheck.security.concern import Concern, State
from kwhost.core.hostcheck.security.files import names_in, printable, text_of, value_of

__all__ = ["check_processor"]

_CPU = "sys/devices/system/cpu"
_VULNERABLE = re.compile(r"(?<!not )\bvulnerable\b|no mitigations", re.IGNORECASE)
_MITIGATIONS_ADVICE = (
    "install the kernel's and the processor's (microcode) updates, and boot with mitigations=auto"
)

# What each of the kernel's entries lets a program do; others are told in general.
_FLAWS = {
    "gather_data_sampling": "what other programs loaded into vector registers can be read",
    "itlb_multihit": "a guest that changes its page sizes can halt the machine",
    "l1tf": "a guest can read whatever lies in the core's first cache, other tenants' memory included",
    "mds": "what other programs on the core load and store can be read",
    "meltdown": "a program can read the kernel's memory, and through it everybody's",
    "mmio_stale_data": "what other programs on the core load and store can be read",
    "reg_file_data_sampling": "what other programs left in registers can be read",
    "retbleed": "a program can read the kernel's memory, slowly",
    "spec_rstack_overflow": "a program can read the kernel's memory, slowly",
    "spectre_v2": "a guest can make the kernel or its monitor give away memory",
    "srbds": "random numbers that others drew can be read",
    "tsx_async_abort": "what other programs on the core load and store can be read",
    "vmscape": "a guest can read its monitor's memory",
}
_GENERAL_FLAW = "one tenant's program may read what belongs to another's, or to the kernel"

# On the kernel's command line: each switches protection off.
_WORDS_OFF = {"nopti", "nospectre_v1", "nospectre_v2", "nosmap", "nosmep"}
_SETTINGS_OFF = {
    "gather_data_sampling": "off",
    "kvm.nx_huge_pages": "off",
    "kvm-intel.vmentry_l1d_flush": "never",
    "l1tf": "off",
    "mds": "off",
    "mitigations": "off",
    "mmio_stale_data": "off",
    "pti": "off",
    "reg_file_data_sampling": "off",
    "retbleed": "off",
    "spec_rstack_overflow": "off",
    "spec_store_bypass_disable": "off",
    "spectre_v2": "off",
    "srbds": "off",
    "tsx_async_abort": "off",
    "vmscape": "off",
}


def _is_virtual(root: Path) -> bool:
    """Whether this host is a virtual machine itself, so that another one below it decides."""
    text = text_of(root, "proc/cpuinfo") or ""
    return bool(re.search(r"^flags\s*:.*\bhypervisor\b", text, re.MULTILINE))


def _check_smt(root: Path) -> Concern:
    active, control = value_of(root, f"{_CPU}/smt/active"), value_of(root, f"{_CPU}/smt/control")
    state = {"0": State.OK, "1": State.RISK}.get(active or "", State.UNKNOWN)
    words = {State.OK: "off", State.RISK: "on", State.UNKNOWN: "this kernel does not tell"}
    seen = words[state] + (f" (control: {control})" if control else "")
    if state is State.OK and _is_virtual(root):
        state = State.UNKNOWN
        seen += "; this host is a virtual machine: the machine below it may have it on"
    return Concern(
        name="SMT",
        state=state,
        seen=seen,
        risk="tenants on two threads of one core see each other's timing, and with many flaws its data",
        advice="echo off > /sys/devices/system/cpu/smt/control, or boot with nosmt",
    )


def _check_flaw(root: Path, name: str) -> Concern:
    seen = value_of(root, f"{_CPU}/vulnerabilities/{name}")
    if not seen or seen.startswith("Unknown: Dependent"):
        state = State.UNKNOWN
    else:
        state = State.RISK if _VULNERABLE.search(seen) else State.OK
    advice = "switch SMT off, which the mitigation needs" if seen and _only_smt(seen) else _MITIGATIONS_ADVICE
    return Concern(
        name=f"processor flaw {printable(name)}",
        state=state,
        seen=seen or "this kernel does not tell",
        risk=_FLAWS.get(name, _GENERAL_FLAW),
        advice=advice,
    )


def _only_smt(seen: str) -> bool:
    return not _VULNERABLE.search(seen.replace("SMT vulnerable", ""))


def _check_flaws(root: Path) -> list[Concern]:
    names = names_in(root, f"{_CPU}/vulnerabilities")
    if names:
        return [_check_flaw(root, name) for name in names]
    return [Concern("processor flaws", State.UNKNOWN, "this kernel does not tell", _GENERAL_FLAW)]


def _check_command_line(root: Path) -> Concern:
    text = text_of(root, "proc/cmdline")
    off = [word for word in (text or "").split() if _switches_off(word)]
    state = State.UNKNOWN if text is None else State.RISK if off else State.OK
    seen = f"switched off: {printable(' '.join(off))}" if off else "none is switched off on the command line"
    return Concern(
        name="mitigations",
        state=state,
        seen="the kernel's command line cannot be read" if text is None else seen,
        risk="known flaws of processors let one tenant read another's memory",
        advice="boot without these words",
    )


def _switches_off(word: str) -> bool:
    key, _, value = word.replace("kvm_intel.", "kvm-intel.").partition("=")
    choices = value.split(",")
    if key == "mitigations" and any(choice.startswith("no_") for choice in choices):
        return True  # no_guest_host, no_guest_guest, ...: a kind of attacker is said not to exist
    return word in _WORDS_OFF or (value != "" and choices[0] == _SETTINGS_OFF.get(key))


def _check_microcode(root: Path) -> Concern:
    text = text_of(root, "proc/cpuinfo") or ""
    revisions = sorted(set(re.findall(r"^microcode\s*:\s*(\w+)", text, re.MULTILINE)))
    if _is_virtual(root):
        state, seen = State.UNKNOWN, "this host is a virtual machine: the machine below it has the microcode"
    elif not revisions:
        state, seen = State.UNKNOWN, "this host does not tell"
    else:
        state = State.OK if len(revisions) == 1 else State.RISK
        seen = f"revision {printable(', '.join(revisions))}"
    return Concern(
        name="microcode",
        state=state,
        seen=seen,
        risk="without the newest microcode some mitigations do nothing, and processors may differ",
        advice="install intel-microcode or amd64-microcode, and boot anew",
    )


def check_processor(root: Path) -> list[Concern]:
    """SMT, flaws, mitigations, microcode."""
    return [_check_smt(root), _check_command_line(root), *_check_flaws(root), _check_microcode(root)]
