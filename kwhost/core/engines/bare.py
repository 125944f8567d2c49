"""Where neither namespaces nor mounts can be had: whether that is so here, and what is left for a program.

Only the engine `process` goes on then (KW_LAUNCH_BARE). It is never used where namespaces can be made.
"""

import errno
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

from kwhost.core.engines.launch import monitor_path
from kwhost.core.errors import HostError
from kwhost.core.model.protections import Protection, Protections

__all__ = [
    "BARE_WARNING",
    "Abilities",
    "bare_protections",
    "check_bare",
    "jail_protections",
    "jail_refused",
    "probe_abilities",
    "scratch_path",
    "sweep",
]

# For whoever starts something so.
BARE_WARNING = (
    "namespaces are refused here, so that less than elsewhere protects this host from the program: "
    "kwhost doctor lists what holds"
)

# What host root needs to give an instance an id of its own, and to end what has that id.
_CAPABILITIES = {"CHOWN": 0, "KILL": 5, "SETGID": 6, "SETUID": 7}
_CHROOT = 18
_SYS_ADMIN = 21
_TRUNCATES = 3  # the version of Landlock that knows truncating
_SCOPES = 6  # the version of Landlock that knows signals and abstract sockets
_PTRACE_SCOPE = "/proc/sys/kernel/yama/ptrace_scope"
_NO_PTRACE = "3"  # nobody looks into a process, whatever rights over it one has
_PROBE_SECONDS = 10.0
_SWEEP_SECONDS = 60.0
# What the kernel, a filter or a security module answers to those who may not.
_REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.ENOSPC)
_NAMESPACE_LIMITS = tuple(
    Path(f"/proc/sys/user/max_{kind}_namespaces")
    for kind in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
)


class Abilities(NamedTuple):
    """What `kwhost-monitor probe` found; "": as it should be, else why not."""

    jail: str
    landlock: int
    notify: str
    children: str
    capabilities: int

    @property
    def may_chroot(self) -> bool:
        """Whether a directory can be made the root."""
        return bool(self.capabilities >> _CHROOT & 1)


@cache
def probe_abilities() -> Abilities:
    """Try, in a process of its own; once for this process's life. Raises HostError."""
    try:
        tried = subprocess.run(
            [monitor_path(), "probe"], env={}, capture_output=True, timeout=_PROBE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"cannot find out what this host allows: {error}") from error
    found = dict(line.split(" ", 1) for line in tried.stdout.decode("ascii", "replace").splitlines())
    _check_refused(int(found.get("error", "0")), found["jail"])
    whys = {name: "" if found[name] == "ok" else found[name] for name in ("jail", "notify", "children")}
    return Abilities(landlock=int(found["landlock"]), capabilities=int(found["capabilities"], 16), **whys)


def _check_refused(error: int, what: str) -> None:
    """Raise HostError for what fails at this moment only: nobody is to do without a jail for that."""
    full = error == errno.ENOSPC and not any(_read(str(path)) == "0" for path in _NAMESPACE_LIMITS)
    if error and (full or error not in _REFUSALS):
        raise HostError(f"whether this host allows namespaces cannot be told now: {what}; try again")


def jail_refused() -> str:
    """Why no jail of namespaces and mounts can be made; "" where one can. Costs next to nothing where nothing
    hints at it. Raises HostError."""
    return probe_abilities().jail if _is_doubtful() else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip(" \n\0")
    except OSError:
        return ""


def _is_doubtful() -> bool:
    """Whether anything could refuse namespaces or mounts: a sysctl, a filter of system calls, a security
    module, or that root is not all that it is elsewhere."""
    status = dict(line.split(":\t", 1) for line in _read("/proc/self/status").splitlines() if ":\t" in line)
    limits = _read("/proc/sys/user/max_user_namespaces"), _read("/proc/sys/kernel/unprivileged_userns_clone")
    weak_root = os.geteuid() == 0 and not int(status.get("CapEff", "0"), 16) >> _SYS_ADMIN & 1
    return (
        "0" in limits
        or weak_root
        or status.get("Seccomp") != "0"
        or _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1"
        or _read("/proc/self/attr/current") not in ("", "unconfined", "kernel")
    )


def check_bare(abilities: Abilities) -> None:
    """Raise HostError where what is left would not be worth the name."""
    why = f"without namespaces ({abilities.jail})"
    if os.geteuid() != 0 and abilities.landlock < _TRUNCATES:
        raise HostError(
            f"{why} an ordinary user's programs need Landlock of version {_TRUNCATES} (Linux 6.2), or they "
            "could empty whatever the user can: boot with landlock in the lsm= list, or allow user namespaces"
        )
    lacking = [name for name, bit in _CAPABILITIES.items() if not abilities.capabilities >> bit & 1]
    if os.geteuid() == 0 and lacking:
        names = ", ".join(f"CAP_{name}" for name in lacking)
        raise HostError(f"{why} root needs {names} to give programs ids of their own")
    for what, reason in (
        ("a seccomp filter with a broker", abilities.notify),
        ("a keeper", abilities.children),
    ):
        if reason:
            raise HostError(f"{why} programs need {what}, which cannot be had either: {reason}")


def bare_protections(abilities: Abilities, *, lacking_cgroup: str) -> Protections:
    """Which hold for an instance without namespaces, of this process's user."""
    why = f"namespaces are refused here ({abilities.jail})"
    is_root = os.geteuid() == 0
    missing = {
        Protection.USER_NAMESPACE: f"{why}; the program has "
        + ("a user id of its own on this host" if is_root else "your own user id"),
        Protection.MOUNTS: f"{why}; the program sees the names of this host's files",
        Protection.PIDS: f"{why}; the program sees this host's processes and their command lines",
        Protection.UTS: f"{why}; the host name is this host's",
    }
    weaker = {
        Protection.IPC: "System V objects and message queues cannot be used at all",
        Protection.NETWORK: "there is none, not even a loopback: no sockets but pairs of them",
        Protection.BROKER: "rules on calls, their integers and rates, and questions; none on files",
    }
    if not is_root and _read(_PTRACE_SCOPE) not in ("", "0"):
        weaker[Protection.BROKER] += (
            "; modes, owners and times of files cannot be changed (sysctl kernel.yama.ptrace_scope)"
        )
    if abilities.landlock < _SCOPES and not is_root:
        weaker[Protection.LANDLOCK] = (
            f"version {abilities.landlock} lets the program signal your other processes; {_SCOPES} does not"
        )
    if 0 < abilities.landlock < _TRUNCATES:  # root alone comes so far
        weaker[Protection.LANDLOCK] = (
            f"version {abilities.landlock} lets the program empty files that everybody may write; "
            f"{_TRUNCATES} does not"
        )
    return Protections(missing=missing | _commonly_missing(abilities, lacking_cgroup), weaker=weaker)


def jail_protections(abilities: Abilities, *, lacking_cgroup: str) -> Protections:
    """Which hold for an instance in namespaces of its own."""
    weaker = {}
    if _read(_PTRACE_SCOPE) == _NO_PTRACE:
        weaker[Protection.BROKER] = (
            "it cannot read what calls point to, so policies with rules on files or addresses are refused "
            "(sysctl kernel.yama.ptrace_scope)"
        )
    return Protections(missing=_commonly_missing(abilities, lacking_cgroup), weaker=weaker)


def _commonly_missing(abilities: Abilities, lacking_cgroup: str) -> dict[Protection, str]:
    missing = {}
    if abilities.landlock == 0:
        missing[Protection.LANDLOCK] = "this kernel has none; owners and modes of files hold as ever"
    if lacking_cgroup:
        missing[Protection.CGROUP] = lacking_cgroup
    return missing


def scratch_path(name: str) -> str:
    """Where an instance writes, by its id or another name that nobody else has."""
    return f"/tmp/kwhost-{name}"  # noqa: S108 - made anew by its first process, for itself alone


def sweep(name: str, root: str | None = None) -> None:
    """End what is left of an instance whose `supervise` and keeper were both killed, and remove what it
    wrote; nothing happens where nothing is left. `root`: a directory that was its root. Raises HostError."""
    scratch = scratch_path(name)
    directory = (root or "") + scratch
    if not os.path.lexists(directory):
        return
    try:
        subprocess.run(
            [monitor_path(), "sweep", scratch, directory], env={}, timeout=_SWEEP_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"cannot remove {directory}: {error}") from error
