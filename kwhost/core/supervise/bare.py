"""The launch plan of an instance without namespaces and mounts (KW_LAUNCH_BARE): what it may open instead of
a root file system, and what it cannot have."""

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from kwhost.core.engines.bare import check_bare, probe_abilities, scratch_path
from kwhost.core.errors import LimitError, UsageError
from kwhost.core.images.host import HIDDEN_IN_ETC, probe_host
from kwhost.core.model.ids import IdRange
from kwhost.core.model.instance import Identity, InstanceSpec, LaunchPlan
from kwhost.core.model.mounts import Mount, MountFlag, MountKind
from kwhost.core.model.network import NO_NETWORK
from kwhost.core.supervise.planning import ExecPlan

__all__ = ["plan_bare", "plan_bare_exec"]

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# What C libraries and runtimes ask for the number of processors and the size of pages.
_SYSTEM = ("/proc", "/sys/devices/system", "/sys/kernel/mm/transparent_hugepage")


def _grant(path: str, flags: MountFlag = MountFlag.NONE) -> Mount:
    return Mount(MountKind.BIND, path, path, MountFlag.READ_ONLY | MountFlag.OPTIONAL | flags)


def _visible(directory: Path, hidden: frozenset[Path]) -> Iterator[Path]:
    """What to grant of a directory, so that nothing hidden beneath it is."""
    if not any(path.is_relative_to(directory) for path in hidden):
        yield directory
        return
    for entry in sorted(directory.iterdir()) if directory.is_dir() else ():
        if entry not in hidden:
            yield from _visible(entry, hidden)


def _host_grants() -> Iterator[Mount]:
    """As the image `host` (kwhost.core.images.host) gives them."""
    etc = Path("/etc")
    hidden = frozenset(etc / name for name in HIDDEN_IN_ETC)
    yield from (_grant(f"/{name}") for name, link in probe_host().items() if link is None)
    yield from (_grant(str(path)) for path in _visible(etc, hidden))


def _root_grants(root: Mount, *, may_chroot: bool) -> Iterator[Mount]:
    """The directory that was found and checked, whatever a link to it leads to by now."""
    if not may_chroot:
        raise UsageError(
            "--rootfs needs user namespaces, which are refused here, or root with CAP_SYS_CHROOT"
        )
    yield Mount(MountKind.BIND, "/", root.source, MountFlag.READ_ONLY | MountFlag.NO_LINKS)


def _system_grants() -> Iterable[Mount]:
    yield from (_grant(path, MountFlag.NO_EXEC) for path in _SYSTEM)
    yield from (_grant(f"/dev/{name}", MountFlag.DEVICE) for name in _DEVICES)


def _refuse(spec: InstanceSpec, why: str, *, has_landlock: bool) -> None:
    """What cannot be had is an error that names what is missing."""
    for wanted, what in (
        (spec.volumes, "volumes need mounts"),
        (spec.tmpfs, "a tmpfs needs mounts"),
        (spec.secrets, "secrets need mounts"),
        (spec.network != NO_NETWORK or spec.ports, "networks and ports need a network namespace"),
        (spec.rootfs is None and spec.image != "host", f"the image {spec.image!r} needs mounts"),
        (spec.read_only and not has_landlock, "--read-only needs mounts or Landlock"),
    ):
        if wanted:
            raise UsageError(f"{what}, which cannot be had here ({why})")


def _check_identity(identity: Identity) -> None:
    if os.geteuid() != 0 and identity[:3] != (0, 0, ()):
        raise UsageError(
            f"user {identity.uid}:{identity.gid} cannot be had without user namespaces: an ordinary user's "
            "programs have the user's own id, called 0"
        )


def _environment(environment: dict[str, str], scratch: str, asked: dict[str, str]) -> dict[str, str]:
    """The variables of a program that writes in `scratch`; those that were `asked` for stay."""
    return environment | {"HOME": scratch, "TMPDIR": scratch} | asked


def plan_bare(plan: LaunchPlan, spec: InstanceSpec, name: str, unheld: Collection[str] = ()) -> LaunchPlan:
    """The same without namespaces and mounts. `name`: of what it writes, nobody else's; `unheld`: limits that
    no control group holds. Raises HostError, LimitError and UsageError where that cannot be had."""
    abilities = probe_abilities()
    check_bare(abilities)
    _refuse(spec, abilities.jail, has_landlock=abilities.landlock > 0)
    _check_identity(plan.identity)
    for limit in unheld:
        if limit != "pids" or os.geteuid() != 0:  # root's instances have ids of their own, which are counted
            raise LimitError(f"{limit} cannot be limited here without namespaces ({abilities.jail})")
    root = _host_grants()
    if spec.rootfs:
        root = _root_grants(plan.mounts[0], may_chroot=abilities.may_chroot)
    scratch = scratch_path(name)
    ids = plan.ids if os.geteuid() == 0 else IdRange(uid_base=os.geteuid(), gid_base=os.getegid(), size=1)
    return replace(
        plan,
        bare=True,
        ids=ids,
        mounts=(*root, *_system_grants(), Mount(MountKind.TMPFS, scratch)),
        environment=_environment(plan.environment, scratch, spec.environment),
    )


def plan_bare_exec(plan: ExecPlan, name: str, asked: dict[str, str]) -> ExecPlan:
    """Likewise a further program of the instance `name`; `asked`: variables that stay. Raises UsageError."""
    _check_identity(plan.identity)
    return plan._replace(environment=_environment(plan.environment, scratch_path(name), asked))
