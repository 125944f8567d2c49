"""Volumes: host directories and files bound into an instance, and those that have names.

The host's /proc never comes along. It would show the instance the host's processes, and its own monitors
behind the /proc that they make for it.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from kwhost.core.errors import ImageError, PermissionDenied
from kwhost.core.model.mounts import Mount, MountFlag, MountKind
from kwhost.core.model.volume import Volume

__all__ = ["check_within", "plan_volumes", "procfs_places"]

_NOTHING: Mapping[str, str] = MappingProxyType({})
_OCTAL = re.compile(rb"\\([0-7]{3})")


def procfs_places(mountinfo: bytes) -> list[str]:
    """Where procfs is mounted, by the text of /proc/self/mountinfo."""
    places = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(b" - ")
        if after.startswith(b"proc "):
            place = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), before.split(b" ")[4])
            places.append(os.fsdecode(place))
    return places


def _check_source(volume: Volume) -> str:
    try:
        source = os.path.realpath(volume.source, strict=True)
        os.close(os.open(source, os.O_PATH | os.O_CLOEXEC))
    except OSError as error:
        raise ImageError(f"cannot use the volume {volume.source}: {error.strerror}") from error
    if not os.access(source, os.R_OK):
        raise ImageError(f"cannot use the volume {volume.source}: you may not read it")
    return source


def check_within(path: str, directories: Sequence[str], asked: str | None = None) -> None:
    """Raise PermissionDenied unless the path, with all links followed, lies in one of the directories. Where
    a link that was `asked` for leads to, its user is not told.

    What is bound is later opened without following links: whoever can change the path gains nothing.
    """
    real = os.path.realpath(path)
    for directory in map(os.path.realpath, directories):
        if os.path.commonpath((real, directory)) == directory:
            return
    allowed = ", ".join(directories) or "none"
    raise PermissionDenied(
        f"{asked or path} may not be used: the tenant's users may bind beneath {allowed} only"
    )


def _plan_volume(volume: Volume, places: Sequence[str], within: Sequence[str] | None) -> list[Mount]:
    source = _check_source(volume)
    if within is not None:
        check_within(source, within)
    if any(os.path.commonpath((source, place)) == place for place in places):
        raise ImageError(f"cannot use the volume {volume.source}: instances never see the host's /proc")
    flags = MountFlag.ID_MAPPED | MountFlag.RECURSIVE | MountFlag.NO_LINKS
    if volume.read_only:
        flags |= MountFlag.READ_ONLY
    below = [place for place in places if os.path.commonpath((source, place)) == source]
    return [
        Mount(MountKind.BIND, volume.target, source, flags),
        *(Mount(MountKind.HIDE, f"{volume.target}/{os.path.relpath(place, source)}") for place in below),
    ]


def plan_volumes(
    volumes: Sequence[Volume], within: Sequence[str] | None = None, named: Mapping[str, str] = _NOTHING
) -> tuple[Mount, ...]:
    """The steps that bind volumes, `within` these directories if any are given; the files of those that have
    a name are where `named` says. Raises ImageError where one cannot be used, PermissionDenied."""
    if not volumes:
        return ()
    places = procfs_places(Path("/proc/self/mountinfo").read_bytes())
    return tuple(
        mount
        for volume in volumes
        for mount in (
            [_plan_named(volume, named[volume.source])]
            if volume.is_named
            else _plan_volume(volume, places, within)
        )
    )


def _plan_named(volume: Volume, files: str) -> Mount:
    flags = MountFlag.ID_MAPPED | MountFlag.NO_LINKS
    if volume.read_only:
        flags |= MountFlag.READ_ONLY
    return Mount(MountKind.BIND, volume.target, files, flags)
