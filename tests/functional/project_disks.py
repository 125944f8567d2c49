"""Disks in files that hold project quotas, mounted for a test; and whether this kernel has any."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kwhost.core.storage.disk import MKFS_PATH

__all__ = ["DISKS", "missing_project_quotas", "mounted_disk"]

DISKS = {
    "ext4": ("mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"),
    "xfs": ("mkfs.xfs", "-q"),
}
_SIZE = 400 << 20


@contextmanager
def mounted_disk(kind: str, place: Path, options: str = "prjquota") -> Iterator[Path]:
    """An empty file system, beside the directory that it is mounted on. Raises CalledProcessError."""
    place.mkdir(parents=True)
    disk = place.with_name(f"{place.name}.img")
    with disk.open("xb") as file:
        file.truncate(_SIZE)
    path = os.environ | {"PATH": MKFS_PATH}
    subprocess.run([*DISKS[kind], disk], check=True, capture_output=True, env=path)
    subprocess.run(["mount", "-o", f"loop,{options}", disk, place], check=True, capture_output=True)
    disk.unlink()
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def missing_project_quotas(kind: str) -> str | None:
    """Why there can be no such file system here; None: there can."""
    if os.geteuid() != 0:
        return "needs to be root"
    if shutil.which(DISKS[kind][0], path=MKFS_PATH) is None:
        return f"there is no {DISKS[kind][0]}"
    try:
        with tempfile.TemporaryDirectory() as directory, mounted_disk(kind, Path(directory) / "disk"):
            return None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        return f"no {kind} can be mounted with project quotas: {said[0] if said else error}"
