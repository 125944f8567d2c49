"""Where and with what a run was made."""

import os
import platform
import shutil
import sys
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.commands import output_of

__all__ = ["describe_conditions", "load_average"]

_VERSIONS = {"crun": "--version", "bwrap": "--version", "runsc": "--version", "node": "--version"}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _huge_pages() -> str:
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        return "not there"
    return text.partition("[")[2].partition("]")[0]


def load_average() -> str:
    """Of the last minute: what else keeps this machine busy."""
    return f"{os.getloadavg()[0]:.2f}"


def _versions() -> str:
    found = [f"python {platform.python_version()}"]
    for name, option in _VERSIONS.items():
        if shutil.which(name):
            first = output_of([name, option]).splitlines()[0]
            found.append(f"{name} {first.split()[-1].removeprefix('v')}")
    return ", ".join(found)


def describe_conditions(bench: Bench) -> dict[str, str]:
    """Printed with every report."""
    plan = bench.launcher.plan(("/bin/true",), rootfs=bench.workspace.busybox_root())
    hardware = bench.launcher.run(plan).hardware
    kinds = {True: "hardware-style (SYSCALL enters ring 0)", False: "software (SYSCALL stays in ring 3)"}
    return {
        "kernel": platform.release(),
        "processor": f"{_processor()}, {os.cpu_count()} CPUs",
        "KVM": kinds[hardware],
        "huge pages": _huge_pages(),
        "load before": load_average(),
        "rounds": f"N = {bench.rounds} (starts and the command: more), interleaved; medians",
        "versions": _versions(),
        "interpreter": sys.executable,
        "missing": "; ".join(bench.peers.missing) or "nothing",
    }
