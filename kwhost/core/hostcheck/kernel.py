"""Facilities of the host's kernel that the jail is made of."""

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kwhost.core.config.host import DEFAULT_UID_BASE
from kwhost.core.engines.kernel_version import OLDEST_KERNEL, kernel_version
from kwhost.core.hostcheck.probe import attempt, libc_call
from kwhost.core.hostcheck.report import Finding, Verdict
from kwhost.core.model.ids import FULL_RANGE

__all__ = ["check_kernel_facilities", "landlock_version"]

# x86-64 system call numbers; Python 3.11 has no wrappers for these.
_NR_MOUNT, _NR_UNSHARE, _NR_SETNS, _NR_SECCOMP = 165, 272, 308, 317
_NR_OPEN_TREE, _NR_MOVE_MOUNT, _NR_MOUNT_SETATTR = 428, 429, 442
_NR_LANDLOCK_CREATE_RULESET = 444
_CLONE_NEWUSER, _CLONE_NEWNS = 0x1000_0000, 0x0002_0000
_CLONE_ALL = 0x7E02_0000  # user, mount, pid, network, IPC, UTS and cgroup namespaces
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 4
_MOUNT_ATTR_IDMAP = 0x0010_0000
_SECCOMP_GET_ACTION_AVAIL = 2
_SECCOMP_RET_TRAP = 0x0003_0000
_MS_REC_PRIVATE = 0x4000 | 0x4_0000
_LANDLOCK_WANTED = 2
# The engine `process` can do without, and says then what does not hold (hostcheck.process).
_MONITORED = ("direct", "kernel")


def _check_version() -> Finding:
    release = os.uname().release
    oldest = ".".join(map(str, OLDEST_KERNEL))
    fine = kernel_version(release) >= OLDEST_KERNEL
    return Finding(
        name="kernel",
        verdict=Verdict.OK if fine else Verdict.MISSING,
        seen=f"Linux {release}",
        advice="" if fine else f"kwhost needs Linux {oldest} or newer",
    )


def _check_namespaces() -> Finding:
    reason = attempt(lambda: _unshare(_CLONE_ALL))
    return Finding(
        name="namespaces",
        verdict=Verdict.MISSING if reason else Verdict.OK,
        seen=f"a new set cannot be made: {reason}" if reason else "user, mount, pid, net, ipc, uts, cgroup",
        advice="allow them: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
        "kernel.apparmor_restrict_unprivileged_userns"
        if reason
        else "",
        engines=_MONITORED,
    )


def _leave_changed_root() -> None:
    """Become a process whose root is its mount namespace's, as the jail does: after a chroot the
    kernel makes no user namespaces."""
    tree = libc_call(_NR_OPEN_TREE, _AT_FDCWD, b"/", _OPEN_TREE_CLONE | _AT_RECURSIVE)
    libc_call(_NR_UNSHARE, _CLONE_NEWNS)
    own = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    libc_call(_NR_SETNS, own, _CLONE_NEWNS)
    libc_call(_NR_MOUNT, b"none", b"/", None, _MS_REC_PRIVATE, None)
    libc_call(_NR_MOVE_MOUNT, tree, b"", _AT_FDCWD, b"/", _MOVE_MOUNT_F_EMPTY_PATH)
    os.fchdir(tree)
    os.chroot(".")


def _unshare(flags: int) -> None:
    try:
        libc_call(_NR_UNSHARE, flags)
    except PermissionError:
        if os.geteuid() != 0:
            raise
        _leave_changed_root()
        libc_call(_NR_UNSHARE, flags)


def _discard(_: int) -> None:
    """For calls whose success is all that matters."""


def _try_overlay(scratch: Path) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _unshare(_CLONE_NEWUSER | _CLONE_NEWNS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    libc_call(_NR_MOUNT, b"none", b"/", None, _MS_REC_PRIVATE, None)
    libc_call(_NR_MOUNT, b"tmpfs", os.fsencode(scratch), b"tmpfs", 0, None)
    for name in ("upper", "work", "root"):
        (scratch / name).mkdir()
    options = f"lowerdir=/etc,upperdir={scratch}/upper,workdir={scratch}/work,userxattr"
    libc_call(_NR_MOUNT, b"overlay", os.fsencode(scratch / "root"), b"overlay", 0, options.encode())


def _check_overlay() -> Finding:
    with tempfile.TemporaryDirectory(prefix="kwhost-doctor-") as scratch:
        reason = attempt(lambda: _try_overlay(Path(scratch)))
    return Finding(
        name="overlayfs",
        verdict=Verdict.MISSING if reason else Verdict.OK,
        seen=f"cannot be mounted in a user namespace: {reason}" if reason else "mounts in a user namespace",
        advice="load it (modprobe overlay), with a kernel that allows it in user namespaces (5.11 or newer)"
        if reason
        else "",
        engines=_MONITORED,
    )


def _with_user_namespace(action: Callable[[int], None]) -> None:
    """Call the action with a descriptor of a user namespace that maps ids 0 and up elsewhere."""
    with _waiting_child() as child:
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{kind}").write_text(f"0 {DEFAULT_UID_BASE} {FULL_RANGE}")
        fd = os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        try:
            action(fd)
        finally:
            os.close(fd)


@contextmanager
def _waiting_child() -> Iterator[int]:
    """A child in a user namespace of its own, which stays until the block ends."""
    ready, release = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(release[1])
            _unshare(_CLONE_NEWUSER)
            os.write(ready[1], b"1")
            os.read(release[0], 1)
        finally:
            os._exit(0)
    os.close(ready[1])
    os.close(release[0])
    try:
        os.read(ready[0], 1)
        yield child
    finally:
        os.close(release[1])
        os.close(ready[0])
        os.waitpid(child, 0)


def _try_id_mapping(path: str) -> None:
    def attach(namespace: int) -> None:
        tree = libc_call(_NR_OPEN_TREE, _AT_FDCWD, path.encode(), _OPEN_TREE_CLONE)
        attributes = struct.pack("QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, namespace)
        libc_call(_NR_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, len(attributes))

    _with_user_namespace(attach)


def _check_id_mapping() -> Finding:
    if os.geteuid() != 0:
        return Finding(
            name="id-mapped mounts",
            verdict=Verdict.WEAKER,
            seen="only root can make them",
            advice="in volumes and --rootfs, files of others than you belong to nobody",
        )
    here = os.path.realpath(".")
    reason = attempt(lambda: _try_id_mapping(here))
    return Finding(
        name="id-mapped mounts",
        verdict=Verdict.WEAKER if reason else Verdict.OK,
        seen=f"the file system of {here} {f'cannot: {reason}' if reason else 'can'}",
        advice="files of volumes and --rootfs from there belong to nobody; ext4, xfs and btrfs can"
        if reason
        else "",
    )


def _check_seccomp() -> Finding:
    action = struct.pack("I", _SECCOMP_RET_TRAP)
    reason = attempt(lambda: _discard(libc_call(_NR_SECCOMP, _SECCOMP_GET_ACTION_AVAIL, 0, action)))
    return Finding(
        name="seccomp",
        verdict=Verdict.MISSING if reason else Verdict.OK,
        seen=f"no filters: {reason}" if reason else "filters",
        advice="the kernel needs CONFIG_SECCOMP_FILTER" if reason else "",
    )


def landlock_version() -> tuple[int, str]:
    """The version of Landlock's interface, 0 for none, and why there is none."""
    try:
        return libc_call(_NR_LANDLOCK_CREATE_RULESET, None, 0, 1), ""
    except OSError as error:
        return 0, error.strerror or "unknown"


def _check_landlock() -> Finding:
    version, why = landlock_version()
    few = version < _LANDLOCK_WANTED
    return Finding(
        name="Landlock",
        verdict=Verdict.WEAKER if few else Verdict.OK,
        seen=f"version {version}" if version else f"none: {why}",
        advice="boot with landlock in the lsm= list" if few else "",
    )


def check_kernel_facilities() -> list[Finding]:
    """Version, namespaces, file systems and filters."""
    return [
        _check_version(),
        _check_namespaces(),
        _check_overlay(),
        _check_id_mapping(),
        _check_seccomp(),
        _check_landlock(),
    ]
