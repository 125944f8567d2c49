"""/dev, /proc and /sys: the same in every instance, whatever its image."""

from kwhost.core.model.mounts import Mount, MountFlag, MountKind

__all__ = ["system_mounts"]

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
# What tells of the host's hardware and kernel more than programs need, or lets them act on it.
_SYS_HIDDEN = ("firmware", "kernel/debug", "kernel/security", "kernel/tracing", "fs/bpf", "power")


def _devices() -> list[Mount]:
    tmpfs = MountFlag.NO_EXEC
    mounts = [Mount(MountKind.TMPFS, "/dev", flags=tmpfs, data="mode=755,size=64k")]
    mounts += [Mount(MountKind.BIND, f"/dev/{name}", f"/dev/{name}", MountFlag.DEVICE) for name in _DEVICES]
    mounts += [
        Mount(MountKind.DEVPTS, "/dev/pts"),
        Mount(MountKind.TMPFS, "/dev/shm", flags=tmpfs, data="mode=1777"),  # noqa: S108
        Mount(MountKind.MQUEUE, "/dev/mqueue", flags=tmpfs),
    ]
    return mounts + [Mount(MountKind.SYMLINK, f"/dev/{name}", text) for name, text in _LINKS.items()]


def system_mounts() -> tuple[Mount, ...]:
    """In the order in which they are made; the root must be there."""
    sysfs = MountFlag.READ_ONLY | MountFlag.NO_EXEC | MountFlag.OPTIONAL
    return (
        *_devices(),
        Mount(MountKind.PROC, "/proc", flags=MountFlag.NO_EXEC),
        Mount(MountKind.SYSFS, "/sys", flags=sysfs),
        *(Mount(MountKind.HIDE, f"/sys/{path}") for path in _SYS_HIDDEN),
    )
