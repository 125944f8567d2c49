"""`python -m benchmarks [--only NAME]... [--json FILE] [--rounds N]`: figures, not tests.

A missed target is a figure like any other; only a measurement that cannot be made is a failure.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.conditions import describe_conditions, load_average
from benchmarks.figures import Figure, MeasurementError, NotMeasurable
from benchmarks.instances import Launcher
from benchmarks.measures import MEASURES
from benchmarks.peers import find_peers
from benchmarks.report import format_table, write_json
from benchmarks.workspace import Workspace
from kwhost.core.engines.direct import DirectEngine
from kwhost.core.engines.process import ProcessEngine
from kwhost.core.errors import KwhostError

_UNIFIED = "/sys/fs/cgroup/unified"
_IN_NAMESPACE = "KWHOST_BENCH_NAMESPACE"


def _enter_mount_namespace() -> None:
    """Hide one of two kinds of cgroups, which crun refuses together, from this process alone."""
    if os.geteuid() or os.environ.get(_IN_NAMESPACE) or not shutil.which("unshare"):
        return
    if not Path(_UNIFIED, "cgroup.controllers").exists():
        return
    script = f'mount -t tmpfs kwhost-bench {_UNIFIED} && exec "$@"'
    again = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
    os.environ[_IN_NAMESPACE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--", "sh", "-c", script, "sh", *again])  # noqa: S606


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(MEASURES), help="just this (repeatable)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to this file too")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds of each comparison (7)")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _measure(bench: Bench, names: Sequence[str]) -> tuple[list[Figure], list[str]]:
    """The figures, and the measurements that failed."""
    figures: list[Figure] = []
    failures: list[str] = []
    for name in names:
        started = time.monotonic()
        try:
            figures += MEASURES[name](bench)
        except NotMeasurable as reason:
            _say(f"  {name} left out: {reason}")
        except (KwhostError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            failures.append(f"{name}: {error}")
            _say(f"  {name} FAILED: {error}")
        else:
            _say(f"  measured {name} in {time.monotonic() - started:.1f} s")
    return figures, failures


def _run(options: argparse.Namespace, directory: Path) -> int:
    workspace = Workspace(directory)
    peers = find_peers(workspace)
    with Launcher(DirectEngine) as launcher, Launcher(ProcessEngine) as processes:
        bench = Bench(workspace, launcher, processes, peers, max(1, options.rounds))
        try:
            conditions = describe_conditions(bench)
            for key, value in conditions.items():
                _say(f"{key + ':':<14}{value}")
            figures, failures = _measure(bench, options.only or list(MEASURES))
        finally:
            peers.clean()
    conditions["load after"] = load_average()
    _say("")
    _say(format_table(figures))
    if options.json:
        write_json(options.json, conditions, figures)
    return 1 if failures else 0


def main(arguments: Sequence[str]) -> int:
    """Measure and report; 1 when something could not be measured."""
    options = _parse(arguments)
    with tempfile.TemporaryDirectory(prefix="kwhost-bench-") as directory:
        try:
            return _run(options, Path(directory))
        except (MeasurementError, KwhostError) as error:
            sys.stderr.write(f"benchmarks: {error}\n")
            return 1


if __name__ == "__main__":
    _enter_mount_namespace()
    sys.exit(main(sys.argv[1:]))
