"""Which version of control groups is used, and where in it kwhost's own groups go.

They go into the topmost group that this process may write in, on the way from the mount point to its own
group: for root that is the mount point, for a user of systemd the group of the user's service manager. It is
not the daemon's own group, because instances outlive the daemon, and systemd cannot start a unit again while
groups with processes and controllers are beneath it, delegated or not (systemd issue 24064).
"""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from kwhost.core.cgroups.files import read_text
from kwhost.core.cgroups.hierarchies import Controller, Hierarchies, Hierarchy, read_hierarchies
from kwhost.core.cgroups.version import Version
from kwhost.core.cgroups.version1 import Version1
from kwhost.core.cgroups.version2 import V2_NAMES, Version2

__all__ = ["base_name", "detect"]


class _Place(NamedTuple):
    """The group for kwhost's; `reason` says why it cannot be used, None: it can."""

    directory: Path
    reason: str | None = None


def base_name(state_dir: Path) -> str:
    """Of kwhost's groups: one for each state directory, so that two daemons never take the other's."""
    return f"kwhost-{hashlib.sha256(os.fsencode(state_dir.resolve())).hexdigest()[:8]}"


def _find_place(hierarchy: Hierarchy) -> _Place:
    if hierarchy.read_only:
        return _Place(hierarchy.mount_point, f"control groups are read-only at {hierarchy.mount_point}")
    path = hierarchy.path_to_own()
    for directory in path:
        if all(os.access(directory / name, os.W_OK) for name in (".", "cgroup.procs")):
            return _Place(directory)
    return _Place(path[-1], "this user may not make control groups here: run as root")


def _detect_v1(hierarchies: dict[Controller, Hierarchy], name: str) -> Version1:
    bases: dict[Controller, Path] = {}
    reasons: dict[Controller, str] = {}
    for controller in Controller:
        if controller not in hierarchies:
            reasons[controller] = f"the controller {controller.value} of control groups is not mounted"
            continue
        place = _find_place(hierarchies[controller])
        if place.reason:
            reasons[controller] = place.reason
        else:
            bases[controller] = place.directory / name
    return Version1(bases, reasons)


def _detect_v2(hierarchy: Hierarchy, name: str) -> Version:
    place = _find_place(hierarchy)
    if place.reason:
        return Version1({}, dict.fromkeys(Controller, place.reason))
    return Version2(place.directory / name, inside=place.directory == hierarchy.path_to_own()[-1])


def detect(state_dir: Path, hierarchies: Hierarchies | None = None) -> Version:
    """Version 2 where it has any of the controllers, else version 1; nothing is made or changed yet."""
    v2, v1 = hierarchies or read_hierarchies()
    offered = (read_text(v2.mount_point / "cgroup.controllers") or "").split() if v2 else []
    if v2 and (not v1 or not set(V2_NAMES.values()).isdisjoint(offered)):
        return _detect_v2(v2, base_name(state_dir))
    return _detect_v1(v1, base_name(state_dir))
