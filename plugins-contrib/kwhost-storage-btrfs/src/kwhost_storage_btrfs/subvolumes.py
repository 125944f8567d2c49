"""Volumes as subvolumes, in the directory that each volume has:

files/              what the instance sees
snapshots/NAME/     as it was once, read only
"""

import errno
import re
from contextlib import suppress
from pathlib import Path

from kwhost_storage_btrfs.programs import btrfs

__all__ = ["LEAST", "Subvolumes", "remove_snapshot", "snapshots", "take_snapshot"]

# What the file system's own tables need of a quota group, and some room beside them.
LEAST = 1 << 20
_FILES = "files"
_SNAPSHOTS = "snapshots"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")
_GROUP = re.compile(r"^0/\d+\s+(\d+)\s+\d+", re.MULTILINE)


class Subvolumes:
    """See kwhost.hookspecs.VolumeBacking. Without mounts: the store of volumes itself is on btrfs."""

    def make(self, place: Path, size: int | None) -> None:
        """A subvolume with a limit on what it refers to."""
        assert size is not None
        files = place / _FILES
        btrfs("subvolume", "create", str(files))
        btrfs("quota", "enable", str(place))
        btrfs("qgroup", "limit", str(size), str(files))
        files.chmod(0o755)

    def show(self, place: Path, mount_point: Path) -> Path:  # noqa: ARG002 - nothing has to be mounted
        """The subvolume itself."""
        return place / _FILES

    def hide(self, mount_point: Path) -> None:
        """Nothing was mounted."""

    def count_used(self, files: Path) -> int:
        """What the quota group counts."""
        found = _GROUP.search(btrfs("qgroup", "show", "--raw", "--sync", "-f", str(files)))
        if found is None:
            raise OSError(errno.EIO, f"btrfs counts nothing for {files}")
        return int(found[1])

    def is_busy(self, place: Path) -> bool:  # noqa: ARG002 - the kernel does not say
        """kwhost itself knows which instances have it."""
        return False

    def remove(self, place: Path) -> None:
        """The subvolume and its snapshots, each with its quota group."""
        for subvolume in (place / _FILES, *snapshots(place)):
            if subvolume.exists():
                _delete(subvolume)


def snapshots(place: Path) -> list[Path]:
    """Those of a volume, by name."""
    return sorted((place / _SNAPSHOTS).glob("*"))


def take_snapshot(place: Path, name: str) -> Path:
    """What the volume has now, to stay as it is. Raises OSError."""
    if not _NAME.fullmatch(name):
        raise OSError(errno.EINVAL, f"{name[:100]!r} is no name for a snapshot")
    target = place / _SNAPSHOTS / name
    if target.exists():
        raise OSError(errno.EEXIST, f"there is a snapshot {name} already")
    target.parent.mkdir(mode=0o700, exist_ok=True)
    btrfs("subvolume", "snapshot", "-r", str(place / _FILES), str(target))
    return target


def remove_snapshot(place: Path, name: str) -> None:
    """Raises OSError."""
    target = place / _SNAPSHOTS / name
    if target not in snapshots(place):
        raise OSError(errno.ENOENT, f"there is no snapshot {name[:100]!r}")
    _delete(target)


def _delete(subvolume: Path) -> None:
    parent = str(subvolume.parent)
    number = btrfs("inspect-internal", "rootid", str(subvolume)).strip()
    btrfs("subvolume", "delete", "--commit-after", str(subvolume))
    with suppress(OSError):  # of a large one the kernel takes its time; an empty group does no harm
        btrfs("subvolume", "sync", parent, number)
        btrfs("qgroup", "destroy", f"0/{number}", parent)
