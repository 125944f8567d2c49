"""The kinds of volumes that there are without plugins."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.storage.directory import DirectoryBacking
from kwhost.core.storage.disk import DISK_LEAST, DiskBacking
from kwhost.core.storage.project import PROJECT_LEAST, ProjectBacking, holds_bounds

if TYPE_CHECKING:
    from kwhost.core.model.volume_backing import VolumeBacking

__all__ = ["BUILT_IN", "StorageKind", "usual_kind"]


class StorageKind(NamedTuple):
    """What keeps volumes of a kind, and how many bytes the smallest has; None: sizes are not held.
    `maps_owners`: its file systems can for certain."""

    backing: "VolumeBacking"
    least: int | None = None
    maps_owners: bool = False


BUILT_IN: Mapping[str, StorageKind] = MappingProxyType(
    {
        "ext4": StorageKind(DiskBacking(), DISK_LEAST, maps_owners=True),
        "quota": StorageKind(ProjectBacking(), PROJECT_LEAST, maps_owners=True),
        "directory": StorageKind(DirectoryBacking()),
    }
)


def usual_kind(directory: Path) -> str:
    """What this user's volumes in a directory are where nothing else is chosen. Raises OSError."""
    if os.geteuid() != 0:
        return "directory"
    return "quota" if holds_bounds(directory) else "ext4"
