"""From what was asked for to what an engine carries out: the launch plan of an instance."""

import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.engines.id_ranges import own_ids
from kwhost.core.engines.launch import MONITOR_FDS
from kwhost.core.errors import HostError, UsageError
from kwhost.core.images.accounts import resolve_user
from kwhost.core.images.host import host_image
from kwhost.core.images.image import Image
from kwhost.core.images.rootfs import rootfs_image
from kwhost.core.images.volumes import check_within, plan_volumes
from kwhost.core.model.ids import FULL_RANGE, IdRange
from kwhost.core.model.instance import (
    Identity,
    InstanceSpec,
    Isolation,
    LaunchPlan,
    TerminalSize,
)
from kwhost.core.model.mounts import Mount, MountKind
from kwhost.core.model.volume import Volume

if TYPE_CHECKING:  # `kwhost run` alone has no definition
    from kwhost.core.model.definition import InstanceDefinition

__all__ = [
    "ExecPlan",
    "build_environment",
    "check_found",
    "descriptor_limit",
    "id_count",
    "local_image",
    "plan_exec",
    "plan_instance",
    "spec_of",
]

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# With more, the kernel's table of each process would double in size.
_NOFILE_MAX = 15_104
_NOFILE_MIN = 64


def local_image(spec: InstanceSpec, state_dir: Path) -> Image:
    """The image of an instance that is run without plugins; the caller closes it. Raises ImageError,
    NotFound, UsageError."""
    if spec.rootfs is not None:
        return rootfs_image(spec.rootfs)
    if spec.image == "host":
        return host_image(spec.name, read_only=spec.read_only)
    from kwhost.core.images.service import stored_image  # not for the usual `host`

    return stored_image(state_dir, spec.tenant, spec.image)


def build_environment(spec: InstanceSpec, identity: Identity, image: Image) -> dict[str, str]:
    """The program's environment: built, never inherited."""
    environment = {"PATH": _DEFAULT_PATH, "HOME": identity.home, "HOSTNAME": spec.name}
    if image.settings:
        environment |= image.settings.environment
    if spec.terminal:
        environment["TERM"] = os.environ.get("TERM") or "xterm"
    return environment | spec.environment


def descriptor_limit() -> int:
    """How many descriptors the program may have, from this process's own hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = _NOFILE_MAX if hard == resource.RLIM_INFINITY else min(_NOFILE_MAX, hard - MONITOR_FDS)
    if room < _NOFILE_MIN:
        raise HostError(
            f"the hard limit of {hard} open files is too low: the monitor keeps {MONITOR_FDS} for itself; "
            f"raise it to {MONITOR_FDS + 1024} or more (ulimit -Hn)"
        )
    return room


def check_found(image: Image, within: Sequence[str], asked: str) -> None:
    """Raise PermissionDenied unless the directory that an image was found to be lies in one of these. What is
    used is opened by that path without following links: whatever the one that was asked for leads to by
    then."""
    check_within(image.mounts[0].source or "", within, asked)


def plan_instance(
    spec: InstanceSpec,
    image: Image,
    ids: IdRange,
    size: TerminalSize | None,
    within: Sequence[str] | None = None,
    named: Mapping[str, str] = MappingProxyType({}),
) -> LaunchPlan:
    """Everything about the instance, decided. `within`: the directories beneath which everything that it
    uses of this host must lie; None: anywhere that the caller may read. `named`: where the files of its named
    volumes are."""
    if within is not None and spec.rootfs is not None:
        check_found(image, within, spec.rootfs)
    identity = resolve_user(image.accounts, _user(spec, image), ids.size)
    return LaunchPlan(
        name=spec.name,
        argv=_arguments(spec, image),
        environment=build_environment(spec, identity, image),
        workdir=_directory(spec, image),
        identity=identity,
        ids=ids,
        mounts=image.mounts + _of_image(spec, image) + _visible(spec, ids, within, named),
        nofile=descriptor_limit(),
        interactive=spec.interactive,
        terminal=(size or TerminalSize()) if spec.terminal else None,
        init=spec.init,
        read_only=spec.read_only,
        rootless=os.geteuid() != 0,
    )


def _arguments(spec: InstanceSpec, image: Image) -> tuple[str, ...]:
    if image.settings:
        arguments = image.settings.program(spec.entrypoint, spec.argv)
    else:
        arguments = (spec.entrypoint or ()) + spec.argv
    if not arguments or not arguments[0]:
        raise UsageError(f"the image {spec.image} does not say what to run: give a command")
    return arguments


def _user(spec: InstanceSpec, image: Image) -> str | None:
    return image.settings.user if spec.user is None and image.settings else spec.user


def _directory(spec: InstanceSpec, image: Image) -> str:
    directory = spec.workdir
    if directory is None:
        directory = image.settings.workdir if image.settings else "/"
    if not directory.startswith("/"):
        raise UsageError(f"the working directory must be absolute, not {directory!r}")
    return directory


def _of_image(spec: InstanceSpec, image: Image) -> tuple[Mount, ...]:
    """What the image wants besides its layers: its working directory and the places of its volumes, which
    none of them may have, and to write to its volumes where the root cannot be written to."""
    if image.settings is None:
        return ()
    directory = image.settings.workdir
    made = (Mount(MountKind.DIRECTORY, directory),) if spec.workdir is None and directory != "/" else ()
    taken = {volume.target for volume in spec.volumes} | {tmpfs.target for tmpfs in spec.tmpfs}
    kind, data = (MountKind.TMPFS, "mode=755") if spec.read_only else (MountKind.DIRECTORY, None)
    places = (path for path in image.settings.volumes if path not in taken)
    return made + tuple(Mount(kind, path, data=data) for path in places)


def _visible(
    spec: InstanceSpec, ids: IdRange, within: Sequence[str] | None, named: Mapping[str, str]
) -> tuple[Mount, ...]:
    """What it sees besides the image; what is beneath something else comes after it."""
    if not (spec.volumes or spec.tmpfs or spec.secrets):
        return ()
    from kwhost.core.images.tmpfs import plan_tmpfs  # most runs have nothing of it
    from kwhost.core.model.secrets import SECRETS_PLACE
    from kwhost.core.model.tmpfs import by_place

    mounts: list[Mount] = []
    for each in by_place(spec.volumes, spec.tmpfs, has_secrets=bool(spec.secrets)):
        if isinstance(each, Volume):
            mounts += plan_volumes([each], within, named)
        else:
            mounts.append(plan_tmpfs(each, ids.size))
    if spec.secrets:
        mounts.append(Mount(MountKind.SECRETS, SECRETS_PLACE))
    return tuple(mounts)


def spec_of(definition: "InstanceDefinition", isolation: Isolation) -> InstanceSpec:
    """A hosted instance's definition as what `kwhost run` is asked for. Raises UsageError."""
    from kwhost.core.model.tmpfs import sized  # `kwhost run` alone has no definition

    return InstanceSpec(
        argv=definition.command,
        name=definition.name,
        image=definition.image,
        rootfs=definition.rootfs,
        entrypoint=definition.entrypoint,
        environment=definition.environment,
        workdir=definition.workdir,
        user=definition.user,
        volumes=definition.volumes,
        secrets=definition.secrets,
        tmpfs=sized(definition.tmpfs, definition.limits.memory),
        interactive=definition.interactive,
        terminal=definition.terminal,
        init=definition.init,
        read_only=definition.read_only,
        engine=definition.engine,
        isolation=isolation,
        timeout=definition.timeout,
        tenant=definition.tenant,
    )


class ExecPlan(NamedTuple):
    """Who a further program is, where it starts, and with which variables."""

    identity: Identity
    workdir: str
    environment: dict[str, str]


def plan_exec(
    spec: InstanceSpec,
    image: Image,
    *,
    user: str | None,
    workdir: str | None,
    environment: dict[str, str],
    terminal: bool,
) -> ExecPlan:
    """A further program in an instance; what is None is the instance's own. Raises UsageError."""
    spec = replace(
        spec,
        user=spec.user if user is None else user,
        workdir=spec.workdir if workdir is None else workdir,
        terminal=terminal,
    )
    identity = resolve_user(image.accounts, _user(spec, image), id_count())
    variables = build_environment(spec, identity, image) | environment
    return ExecPlan(identity, _directory(spec, image), variables)


def id_count() -> int:
    """How many ids an instance of this process's user has."""
    return FULL_RANGE if os.geteuid() == 0 else own_ids().size
