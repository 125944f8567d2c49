"""How much of the host's kernel, and of other processes, somebody reaches who should not."""

import re
from datetime import date
from pathlib import Path
from typing import NamedTuple

from kwhost.core.hostcheck.security.concern import Concern, State
from kwhost.core.hostcheck.security.files import text_of, value_of

__all__ = ["check_kernel"]

_LANDLOCK_WANTED = 2  # from this version files cannot be moved out of what rules allow
_AGE_MAX_DAYS = 180
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _Setting(NamedTuple):
    """A number in /proc/sys: the least and greatest harmless value."""

    name: str  # as sysctl calls it
    least: int
    most: int
    risk: str
    advice: str


_SETTINGS = (
    _Setting(
        "kernel.unprivileged_bpf_disabled",
        1,
        2,
        "the host's users load programs into its kernel, where they look for flaws and measure other tenants",
        "sysctl kernel.unprivileged_bpf_disabled=1",
    ),
    _Setting(
        "vm.unprivileged_userfaultfd",
        0,
        0,
        "the host's users hold up its kernel at chosen places, which makes flaws usable",
        "sysctl vm.unprivileged_userfaultfd=0",
    ),
    _Setting(
        "kernel.kptr_restrict",
        1,
        2,
        "the kernel's addresses can be read, which an attack on it needs",
        "sysctl kernel.kptr_restrict=1",
    ),
    _Setting(
        "kernel.dmesg_restrict",
        1,
        1,
        "the kernel's log, with addresses and what others do, can be read by the host's users",
        "sysctl kernel.dmesg_restrict=1",
    ),
    _Setting(
        "kernel.yama.ptrace_scope",
        1,
        3,
        "a program of a user's looks into all others of that user, the kwhost command among them",
        "sysctl kernel.yama.ptrace_scope=1",
    ),
    _Setting(
        "kernel.randomize_va_space",
        2,
        2,
        "addresses in programs can be guessed",
        "sysctl kernel.randomize_va_space=2",
    ),
    _Setting(
        "kernel.perf_event_paranoid",
        2,
        4,
        "the host's users measure what other programs and the kernel do",
        "sysctl kernel.perf_event_paranoid=2",
    ),
)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else None


def _check_setting(root: Path, setting: _Setting) -> Concern:
    value = _number(value_of(root, "proc/sys/" + setting.name.replace(".", "/")))
    if value is None:
        state, seen = State.UNKNOWN, "this kernel has no such setting"
    else:
        state = State.OK if setting.least <= value <= setting.most else State.RISK
        seen = str(value)
    return Concern(setting.name, state, seen, setting.risk, setting.advice)


def _check_user_namespaces(root: Path) -> Concern:
    switches = {
        "kernel.unprivileged_userns_clone": "0",
        "kernel.apparmor_restrict_unprivileged_userns": "1",
        "user.max_user_namespaces": "0",
    }
    values = {name: value_of(root, "proc/sys/" + name.replace(".", "/")) for name in switches}
    shut = [name for name, value in values.items() if value == switches[name]]
    unknown = all(value is None for value in values.values())
    advice = "where root alone runs kwhost: sysctl kernel.unprivileged_userns_clone=0"
    if values["kernel.unprivileged_userns_clone"] is None:
        advice = "where root alone runs kwhost: let nobody untrusted log in (this kernel cannot forbid them)"
        if values["kernel.apparmor_restrict_unprivileged_userns"] is not None:
            advice = "where root alone runs kwhost: sysctl kernel.apparmor_restrict_unprivileged_userns=1"
    return Concern(
        name="user namespaces of ordinary users",
        state=State.UNKNOWN if unknown else State.OK if shut else State.RISK,
        seen="cannot be told" if unknown else f"not allowed ({shut[0]})" if shut else "allowed",
        risk="the host's users reach parts of its kernel that are otherwise root's (instances never do)",
        advice=advice,
    )


def _check_lockdown(root: Path) -> Concern:
    text = value_of(root, "sys/kernel/security/lockdown")
    chosen = re.search(r"\[(\w+)\]", text or "")
    mode = chosen[1] if chosen else None
    return Concern(
        name="kernel lockdown",
        state=State.OK if mode in ("integrity", "confidentiality") else State.RISK if mode else State.UNKNOWN,
        seen=mode or "this kernel does not tell",
        risk="whoever becomes the host's root once can change its kernel and stay",
        advice="boot with lockdown=integrity",
    )


def _check_core_dumps(root: Path) -> Concern:
    pattern = value_of(root, "proc/sys/kernel/core_pattern")
    dumpable = _number(value_of(root, "proc/sys/fs/suid_dumpable"))
    piped = (pattern or "").startswith("|")
    seen = f"to {pattern.lstrip('|').split(' ')[0]}, run as root" if pattern and piped else f"to {pattern!r}"
    if dumpable:
        seen += f"; also of programs that may not be read (fs.suid_dumpable={dumpable})"
    return Concern(
        name="core dumps",
        state=State.UNKNOWN if pattern is None or dumpable is None else State.RISK if dumpable else State.OK,
        seen="cannot be told" if pattern is None else seen,
        risk="memory of programs that hide it is written out, or handed to a program that runs as root",
        advice="sysctl fs.suid_dumpable=0 (instances and monitors then leave none)",
    )


def _check_landlock(root: Path, version: int) -> Concern:
    modules = value_of(root, "sys/kernel/security/lsm")
    advice = "a newer kernel (5.19 or later)"
    if not version:
        advice = "boot with landlock in the lsm= list" + (f" (now: {modules})" if modules else "")
    return Concern(
        name="Landlock",
        state=State.OK if version >= _LANDLOCK_WANTED else State.RISK,
        seen=f"version {version}" if version else "none",
        risk="a monitor that was taken over changes files wherever namespaces and ids let it",
        advice=advice,
    )


def _check_seccomp(root: Path) -> Concern:
    actions = value_of(root, "proc/sys/kernel/seccomp/actions_avail")
    wanted = {"allow", "errno", "kill_process"}
    fine = wanted <= set((actions or "").split())
    return Concern(
        name="seccomp",
        state=State.OK if fine else State.RISK,
        seen=f"filters can {actions}" if actions else "none",
        risk="a monitor that was taken over can make every call of the host's (kwhost needs it)",
        advice="a kernel with CONFIG_SECCOMP_FILTER",
    )


def _built(version: str) -> date | None:
    """When a kernel was built, from /proc/version: "(2024-05-03)" or "May 3 12:00:00 UTC 2024" at its end."""
    iso = re.search(r"\((\d{4})-(\d\d)-(\d\d)\)", version)
    plain = re.search(rf"\b({'|'.join(_MONTHS)}) +(\d\d?) [\d:]+ \w+ (\d{{4}})", version)
    try:
        if iso:
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        return date(int(plain[3]), _MONTHS.index(plain[1]) + 1, int(plain[2])) if plain else None
    except ValueError:
        return None


def _check_age(root: Path, today: date) -> Concern:
    built = _built(text_of(root, "proc/version") or "")
    days = (today - built).days if built else -1
    state = State.UNKNOWN if days < 0 else State.RISK if days > _AGE_MAX_DAYS else State.OK
    return Concern(
        name="kernel age",
        state=state,
        seen=f"built on {built}, {days} days ago"
        if built and days >= 0
        else "does not tell when it was built",
        risk="flaws of KVM and of calls that instances may make have become known since",
        advice="install the newest kernel of your distribution, and boot it",
    )


def check_kernel(root: Path, *, landlock: int, today: date) -> list[Concern]:
    """Settings of the kernel, filters and age. `landlock` is its version, 0 for none, which no file tells."""
    return [
        _check_age(root, today),
        _check_lockdown(root),
        _check_user_namespaces(root),
        *(_check_setting(root, setting) for setting in _SETTINGS),
        _check_core_dumps(root),
        _check_landlock(root, landlock),
        _check_seccomp(root),
    ]
