"""Starting a hosted instance's processes: all of it, or nothing is left."""

import os
import socket
import subprocess
from collections.abc import Container
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import trio

from kwhost.core.cgroups.group import Cgroup
from kwhost.core.engines.base import HostedEnds, PolicyFds
from kwhost.core.engines.id_ranges import lease_again, lease_ids
from kwhost.core.engines.launch import ceiling_file, new_statistics_file, policy_file
from kwhost.core.errors import HostError, KvmError, KwhostError, UsageError
from kwhost.core.images.image import Image
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import IdRange, InstanceId
from kwhost.core.model.instance import Engine, InstanceSpec, LaunchPlan
from kwhost.core.model.mounts import Mount, MountFlag, MountKind
from kwhost.core.model.network import NO_NETWORK
from kwhost.core.model.protections import Protections
from kwhost.core.model.status import RootStatus
from kwhost.core.model.tenant import Tenant
from kwhost.core.supervise.choosing import advise_without_kvm
from kwhost.core.supervise.held_limits import Shortage, find_shortage, guest_limits, guest_tasks
from kwhost.core.supervise.hosting import StdioFds
from kwhost.core.supervise.networking import Attached
from kwhost.core.supervise.planning import check_found, plan_instance, spec_of
from kwhost.core.supervise.policies import StartPolicy
from kwhost.core.supervise.protecting import check_probe, protect
from kwhost.core.supervise.roots import ShownRoot
from kwhost.core.supervise.run_image import kept_settings
from kwhost.core.supervise.surroundings import Surroundings
from kwhost.core.supervise.volumes import ShownVolumes

__all__ = [
    "Launch",
    "Start",
    "find_image",
    "launch_instance",
]


class Start(NamedTuple):
    """One run of an instance: the instance, what it is to be, whose it is, the engine that was chosen for it,
    the digest of the image that it is to have again ("": the one that its name means), its first attachment,
    whether it may only use what its tenant's users may, its way into a network, its volumes, and how its root
    is made."""

    instance: InstanceId
    definition: InstanceDefinition
    tenant: Tenant
    engine: Engine
    digest: str = ""
    stdio: StdioFds | None = None
    confined: bool = False
    attached: Attached = Attached()
    shown: ShownVolumes = ShownVolumes()
    root: ShownRoot = ShownRoot()

    def guest_tasks(self) -> int | None:
        """See held_limits."""
        return guest_tasks(self.definition, self.engine.value)

    def spec(self) -> InstanceSpec:
        """What `kwhost run` would be asked for."""
        return replace(spec_of(self.definition, self.tenant.isolation), volumes=self.shown.volumes)


class Launch(NamedTuple):
    """A supervising process that was started, a connection to it, its statistics page and its cgroup.

    `approximate` tells of limits that no cgroup holds, a line for each; `protections` of what holds where
    there is no virtual machine.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket
    stats: int
    group: Cgroup
    root: RootStatus
    approximate: tuple[str, ...] = ()
    protections: Protections | None = None


def _bound_storage(mounts: tuple[Mount, ...], size: int | None) -> tuple[Mount, ...]:
    """The same mounts, where what an instance writes to its root may take `size` bytes."""
    if size is None:
        return mounts

    def bound(mount: Mount) -> Mount:
        if MountFlag.UPPER in mount.flags:
            return mount
        writable = mount.kind is MountKind.OVERLAY or (mount.kind is MountKind.TMPFS and mount.target == "/")
        data = ",".join(filter(None, (mount.data, f"size={size}")))
        return mount._replace(data=data) if writable else mount

    return tuple(map(bound, mounts))


def _unmapped(mounts: tuple[Mount, ...], sources: Container[str]) -> tuple[Mount, ...]:
    """The same mounts, where the owners of files from some sources are the instance's already."""
    return tuple(
        mount._replace(flags=mount.flags & ~MountFlag.ID_MAPPED) if mount.source in sources else mount
        for mount in mounts
    )


def _root_status(plan: LaunchPlan, root: ShownRoot, storage: int | None) -> RootStatus:
    kind, name = plan.mounts[0].kind, root.kind or plan.mounts[0].kind.name.lower()
    if plan.bare:
        return RootStatus(kind="bare", changes="directory", size=None)
    if plan.read_only:
        return RootStatus(kind=name, changes="nowhere", size=None)
    if root.size is not None:
        return RootStatus(kind=name, changes="disk", size=root.size)
    if kind in (MountKind.OVERLAY, MountKind.TMPFS):
        return RootStatus(kind=name, changes="memory", size=storage)
    return RootStatus(kind=name, changes="directory", size=None)


def _files(start: Start, mounts: tuple[Mount, ...]) -> list[Mount]:
    """What tells of the network, unless the instance has files of its own there."""
    targets = {mount.target for mount in mounts if mount.kind is MountKind.BIND}
    return [file for file in start.attached.files if file.target not in targets]


def _plan(around: Surroundings, start: Start, image: Image, ids: IdRange, shortage: Shortage) -> LaunchPlan:
    limits = start.definition.limits
    within = start.tenant.binds if start.confined else None
    plan = plan_instance(start.spec(), image, ids, None, within, start.shown.files)
    if start.shown.unmapped:
        plan = replace(plan, mounts=_unmapped(plan.mounts, start.shown.unmapped))
    plan = replace(plan, mounts=start.root.mounts(plan.mounts))
    return replace(
        plan,
        hosted=True,
        log=around.log,
        limits=guest_limits(limits, shortage, start.engine),
        mounts=(*_bound_storage(plan.mounts, limits.storage), *_files(start, plan.mounts)),
        waits_for_network=start.attached.driven.driver is not None,
    )


def _launch(
    around: Surroundings, start: Start, image: Image, policy: StartPolicy, group: Cgroup, shortage: Shortage
) -> Launch:
    """The part that blocks."""
    dirs = around.dirs(start.instance)
    with ExitStack() as ends, ExitStack() as undo:

        def own(fd: int) -> int:
            ends.callback(os.close, fd)
            return fd

        first = start.shown.first_id
        lease = lease_ids(around.uid_base) if first is None else lease_again(first)
        ends.callback(lease.close)
        plan, protections = _plan(around, start, image, lease.ids, shortage), None
        if start.engine is Engine.PROCESS:
            unheld = shortage.unheld(start.definition.limits)
            spec = replace(start.spec(), network=start.definition.network or NO_NETWORK)
            plan, protections = protect(plan, spec, start.instance, around.cgroups, unheld)
            check_probe(protections, start.definition.healthcheck)
            if plan.bare and start.root.disk:
                raise UsageError("changes on a disk need mounts, which cannot be had here")
        stats = new_statistics_file()
        undo.callback(os.close, stats)
        undo.callback(dirs.remove_run)
        dirs.make()
        dirs.keep_policy(policy.kept)
        dirs.keep_image(image.digest)
        dirs.keep_settings(kept_settings(image))
        listener = ends.enter_context(dirs.listen())
        # Now, since afterwards nothing may fail that would leave a process which nobody watches.
        connection = dirs.connect()
        if connection is None:
            raise HostError(f"nobody listens on {dirs.run}/control.sock any more")
        undo.callback(connection.close)
        secrets = start.definition.secrets
        taps = start.attached.open_taps()
        for queue in (queue for tap in taps for queue in tap.queues):
            own(queue)
        guests = tuple(own(fd) for fd in group.open_guest_procs())
        place = group.counting_place() if start.guest_tasks() is not None else None
        given = HostedEnds(
            control=listener.fileno(),
            log_dir=own(os.open(dirs.state, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)),
            exit=own(dirs.allocate_exit()),
            stats=stats,
            cgroups=tuple(own(fd) for fd in group.open_procs()),
            guest_cgroups=guests,
            counted_cgroup=-1 if place is None else guests[place],
            policy=PolicyFds(own(policy_file(policy.table)), own(ceiling_file(policy.ceiling))),
            netns=start.attached.namespace,
            secrets=own(around.secrets.open(start.instance, secrets)) if secrets else -1,
            taps=taps,
            stdio=(start.stdio.stdin, start.stdio.stdout, start.stdio.stderr) if start.stdio else None,
        )
        process = around.engine(start.engine.value, lease).launch_hosted(plan, given)
        undo.pop_all()
        dirs.keep_exit()
        root = _root_status(plan, start.root, start.definition.limits.storage)
        return Launch(process, connection, stats, group, root, shortage.notices(start.engine), protections)


async def find_image(around: Surroundings, start: Start) -> Image:
    """The image of an instance that this host can run; it may have to be fetched. Raises KwhostError."""
    find_shortage(around.cgroups, start.definition.limits)
    image = await around.image(start.spec(), start.digest)
    if start.confined and start.definition.rootfs is not None:
        check_found(image, start.tenant.binds, start.definition.rootfs)
    return image


async def launch_instance(around: Surroundings, start: Start, image: Image, policy: StartPolicy) -> Launch:
    """Start the instance's processes. Raises KwhostError, with nothing left behind."""
    definition = start.definition
    shortage = find_shortage(around.cgroups, definition.limits)
    async with AsyncExitStack() as undo:
        group = around.cgroups.instance(start.tenant.name, start.instance)
        undo.push_async_callback(group.remove)
        group.create(definition.limits, start.tenant.quota, start.guest_tasks())
        launch = partial(_launch, around, start, image, policy, group, shortage)
        try:
            launched = await trio.to_thread.run_sync(launch)
        except KvmError as error:
            raise advise_without_kvm(error, start.definition.engine) from error
        except KwhostError:
            raise
        except (Exception, SystemExit) as error:  # an engine may be a plugin's, and raise anything
            text = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            raise HostError(f"cannot start {start.definition.name}: {text}") from error
        undo.pop_all()
        return launched
