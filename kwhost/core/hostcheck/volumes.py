"""What named volumes need, and what keeps new ones."""

import os
import shutil
from pathlib import Path

from kwhost.core.config.host import HostConfig, load_host_config
from kwhost.core.errors import ConfigError
from kwhost.core.hostcheck.report import Finding, Verdict
from kwhost.core.model.volume import AUTO_STORAGE
from kwhost.core.storage.disk import MKFS_PATH
from kwhost.core.storage.kinds import BUILT_IN, usual_kind

__all__ = ["check_volumes"]

_SEEN = {
    "quota": "directories with project quotas, bounded",
    "ext4": "an ext4 each, bounded",
    "directory": "directories, unbounded",
}
_ORDINARY = "as root each volume has a size that is held"
_UNBOUNDED = "with another volume_storage than 'directory' each volume has a size that is held"


def check_volumes(host: HostConfig | None = None, devices: Path = Path("/dev")) -> list[Finding]:
    """Whether volumes, and disks for roots, can be made here, and whether they are bounded. Without `host`
    by this user's configuration."""
    try:
        return [_check_volumes(host or load_host_config(), devices)]
    except (ConfigError, OSError) as error:
        return [_finding(Verdict.WEAKER, "not known", str(error))]


def _check_volumes(host: HostConfig, devices: Path) -> Finding:
    kind = host.volume_storage
    if kind == AUTO_STORAGE:
        kind = usual_kind(_nearest(host.state_dir))
    seen = _SEEN.get(kind, f"kept by a plugin's storage, {kind}")
    if os.geteuid() != 0:
        return _finding(Verdict.WEAKER if kind == "directory" else Verdict.OK, seen, _ORDINARY)
    if lacking := _lacking(devices):
        if kind == "ext4":
            needed = f"volumes, and changes on disks, need {lacking}"
            return _finding(Verdict.WEAKER, "cannot be made", needed)
        return _finding(Verdict.WEAKER, seen, f"changes on disks need {lacking}")
    if kind in BUILT_IN and BUILT_IN[kind].least is None:
        return _finding(Verdict.WEAKER, seen, _UNBOUNDED)
    return _finding(Verdict.OK, seen)


def _nearest(directory: Path) -> Path:
    """The directory, or the one that it would be made in."""
    return next(path for path in (directory, *directory.parents) if path.is_dir())


def _lacking(devices: Path) -> str:
    lacking = []
    if shutil.which("mkfs.ext4", path=MKFS_PATH) is None:
        lacking.append("mkfs.ext4 (install e2fsprogs)")
    if not (devices / "loop-control").exists():
        lacking.append("loop devices (modprobe loop)")
    return " and ".join(lacking)


def _finding(verdict: Verdict, seen: str, advice: str = "") -> Finding:
    return Finding(name="volumes", verdict=verdict, seen=seen, advice=advice)
