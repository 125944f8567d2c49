"""What may be left of a daemon and its instances on this host, wherever it may be found."""

import os
from pathlib import Path

from kwhost.core.cgroups.placement import base_name, detect
from tests.host_mounts import host_mounts

__all__ = ["control_groups", "find_leftovers", "group_processes", "processes_using"]


def processes_using(directory: Path) -> list[int]:
    """Processes that have a descriptor of, or a place in, a directory."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid() and _uses(process, directory):
            found.append(int(process.name))
    return found


def _uses(process: Path, directory: Path) -> bool:
    try:
        links = [process / "cwd", process / "root", *(process / "fd").iterdir()]
        return any(os.readlink(link).startswith(f"{directory}/") for link in links)
    except OSError:
        return False  # it has ended, or one of its descriptors was closed


def control_groups(state_dir: Path) -> list[Path]:
    """The groups of all instances, in every hierarchy: .../TENANT/ID."""
    mounts = [Path(line.split()[4]) for line in host_mounts() if " - cgroup" in line]
    tops = {*detect(state_dir).bases(), *(mount / base_name(state_dir) for mount in mounts)}
    return [group for top in tops for group in top.glob("*/*") if group.is_dir()]


def group_processes(group: Path) -> list[int]:
    """The processes in a control group; none where it has gone."""
    try:
        return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def find_leftovers(directory: Path, state_dir: Path, run_dir: Path) -> list[str]:
    """A line for everything of instances that is still there; their logs and the database may stay."""
    found = [f"process {pid}" for pid in processes_using(directory)]
    found += [str(group) for group in control_groups(state_dir)]
    found += [line for line in host_mounts(directory) if f" {directory}/" in line]
    found += [str(path) for path in (run_dir / "instances").glob("*")]
    return found
