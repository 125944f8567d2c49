"""What named volumes need."""

import os
import shutil
from pathlib import Path

from kwhost.core.hostcheck.report import Finding, Verdict
from kwhost.core.storage.disk import MKFS_PATH

__all__ = ["check_volumes"]


def check_volumes(devices: Path = Path("/dev")) -> list[Finding]:
    """Whether volumes, and disks for roots, can be made here."""
    return [_check_volumes(devices)]


def _check_volumes(devices: Path) -> Finding:
    if os.geteuid() != 0:
        advice = "as root each volume has a size that is held"
        return Finding(name="volumes", verdict=Verdict.WEAKER, seen="directories, unbounded", advice=advice)
    lacking = []
    if shutil.which("mkfs.ext4", path=MKFS_PATH) is None:
        lacking.append("mkfs.ext4 (install e2fsprogs)")
    if not (devices / "loop-control").exists():
        lacking.append("loop devices (modprobe loop)")
    return Finding(
        name="volumes",
        verdict=Verdict.WEAKER if lacking else Verdict.OK,
        seen="cannot be made" if lacking else "an ext4 each, bounded",
        advice=f"volumes, and changes on disks, need {' and '.join(lacking)}" if lacking else "",
    )
