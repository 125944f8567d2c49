"""The kinds of volumes that there are without plugins."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.storage.directory import DirectoryBacking
from kwhost.core.storage.disk import DISK_LEAST, DiskBacking

if TYPE_CHECKING:
    from kwhost.core.model.volume_backing import VolumeBacking

__all__ = ["BUILT_IN", "StorageKind", "usual_kind"]


class StorageKind(NamedTuple):
    """What keeps volumes of a kind, and how many bytes the smallest has; None: sizes are not held."""

    backing: "VolumeBacking"
    least: int | None = None


BUILT_IN: Mapping[str, StorageKind] = MappingProxyType(
    {
        "ext4": StorageKind(DiskBacking(), DISK_LEAST),
        "directory": StorageKind(DirectoryBacking()),
    }
)


def usual_kind() -> str:
    """What this user's volumes are where nothing else is chosen."""
    return "ext4" if os.geteuid() == 0 else "directory"
