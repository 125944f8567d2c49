"""Limits, control groups, ids and memory settings of this host."""

import os
import resource
from pathlib import Path

from kwhost.core.cgroups.placement import detect
from kwhost.core.config.host import load_host_config
from kwhost.core.engines.id_ranges import lease_ids, subordinate_ranges
from kwhost.core.engines.launch import MONITOR_FDS
from kwhost.core.hostcheck.report import Finding, Verdict
from kwhost.core.model.definition import BlockLimits, Limits
from kwhost.core.model.ids import FULL_RANGE

__all__ = ["check_resources"]

_NOFILE_WANTED = MONITOR_FDS + 4096
_EVERY_LIMIT = Limits(memory=2**30, cpus=1.0, pids=1, block=BlockLimits(read_bytes=2**20))


def _check_descriptors() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    few = not unlimited and hard < _NOFILE_WANTED
    return Finding(
        name="open files",
        verdict=Verdict.WEAKER if few else Verdict.OK,
        seen="no limit" if unlimited else f"hard limit {hard}",
        advice=f"instances get {max(hard - MONITOR_FDS, 0)}; raise the hard limit (ulimit -Hn) for more"
        if few
        else "",
    )


def _check_cgroups() -> Finding:
    version = detect(load_host_config().state_dir)
    missing = {entry.limit: entry.reason for entry in version.missing(_EVERY_LIMIT)}
    held = [name for name in ("memory", "cpus", "pids", "block") if name not in missing]
    return Finding(
        name="control groups",
        verdict=Verdict.WEAKER if missing else Verdict.OK,
        seen=f"version {version.number} holds limits for {', '.join(held)}" if held else "hold no limits",
        advice=f"no limits for {', '.join(missing)}: {'; '.join(dict.fromkeys(missing.values()))}"
        if missing
        else "",
    )


def _check_ids() -> Finding:
    base = load_host_config().uid_base
    if os.geteuid() != 0:
        count = lease_ids(base).ids.size
        advice = "as root each instance has 65536 ids of its own"
        if count == 1:
            advice += (
                "; for more than one, install uidmap and have root give you a range in /etc/subuid, subgid"
            )
        return Finding(
            name="ids",
            verdict=Verdict.WEAKER,
            seen="your own"
            + (f" and {count - 1} subordinate ids" if count > 1 else "")
            + ", the same for all your instances",
            advice=advice,
        )
    taken = subordinate_ranges()
    overlap = any(base < other.stop and other.start < base + FULL_RANGE for other in taken)
    return Finding(
        name="ids",
        verdict=Verdict.WEAKER if overlap else Verdict.OK,
        seen=f"{FULL_RANGE} for each instance, from {base}"
        + (" (partly given to users by /etc/subuid, which is passed over)" if overlap else ""),
        advice="choose another host.uid_base" if overlap else "",
    )


def _check_huge_pages() -> Finding:
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
        mode = text.partition("[")[2].partition("]")[0]
    except OSError:
        mode = "unknown"
    never = mode == "never"
    return Finding(
        name="huge pages",
        verdict=Verdict.WEAKER if never else Verdict.OK,
        seen=f"transparent huge pages: {mode}",
        advice="echo madvise > /sys/kernel/mm/transparent_hugepage/enabled makes memory faster"
        if never
        else "",
    )


def _check_address_layout(setting: str = "/proc/sys/vm/legacy_va_layout") -> Finding:
    """With the layout of former times the kernel maps upwards from a third of the address space: into the
    place of the monitor's window, before that is reserved."""
    try:
        legacy = Path(setting).read_text().strip() not in ("", "0")
    except OSError:
        legacy = False
    return Finding(
        name="address layout",
        verdict=Verdict.MISSING if legacy else Verdict.OK,
        seen="vm.legacy_va_layout is set" if legacy else "from the top down",
        advice="sysctl vm.legacy_va_layout=0: the monitor needs the addresses" if legacy else "",
        engines=("direct",),
    )


def check_resources() -> list[Finding]:
    """What bounds and feeds instances."""
    return [
        _check_descriptors(),
        _check_cgroups(),
        _check_ids(),
        _check_huge_pages(),
        _check_address_layout(),
    ]
