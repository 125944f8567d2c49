"""Memory of an instance that sleeps, beyond its program's own pages."""

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.bench import KWHOST, Bench
from benchmarks.commands import Command
from benchmarks.figures import Figure, MeasurementError, NotMeasurable, Series, Target, Unit
from benchmarks.instances import Launcher
from benchmarks.processes import WINDOW, command_name, descendants, executable, proportional_size
from kwhost.core.engines.base import NO_POLICY, PolicyFds

__all__ = ["idle_size", "measure_idle"]

_SLEEP = ("/bin/busybox", "sleep", "60")
_SETTLED_SECONDS = 0.3
_START_SECONDS = 20
_LIMIT = Target(limit=1.5 * (1 << 20), absolute=True)


def idle_size(launcher: Launcher, root: Path, policy: PolicyFds = NO_POLICY) -> float:
    """Bytes of PSS of an instance that sleeps, beyond its program; as root."""
    plan = launcher.plan(_SLEEP, rootfs=root)
    with (
        Path(os.devnull).open("w") as nowhere,
        launcher.started(plan, nowhere.fileno(), policy) as instance,
    ):
        instance.started()
        time.sleep(_SETTLED_SECONDS)
        pids = list(descendants(instance.supervise))
        if len(pids) < 2:
            raise MeasurementError("the idle instance has no program")
        ours = [pid for pid in pids if executable(pid) != Path(_SLEEP[0])]
        return sum(proportional_size(pid, beyond=WINDOW) for pid in ours)


def _wait_for_sleep(process: "subprocess.Popen[bytes]", *, own_kernel: bool) -> set[int]:
    """The tree's processes once the program sleeps; without the program, whose memory is its own."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        pids = set(descendants(process.pid))
        sleeping = {pid for pid in pids if command_name(pid) == "busybox"}
        if sleeping or (own_kernel and len(pids) > 2):
            time.sleep(_SETTLED_SECONDS)
            return set(descendants(process.pid)) - sleeping
        time.sleep(0.02)
    raise MeasurementError(f"{process.args!r} did not start")


def _peer(command: Command, *, own_kernel: bool) -> float:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        return sum(proportional_size(pid) for pid in _wait_for_sleep(process, own_kernel=own_kernel))
    finally:
        process.kill()
        process.wait()


def measure_idle(bench: Bench) -> list[Figure]:
    """PSS of supervise and monitor, or supervise and broker, and of what stays behind with a container."""
    if os.geteuid() != 0:
        raise NotMeasurable("reading a monitor's memory map needs root")
    root = bench.workspace.busybox_root()
    references = []
    for peer in (bench.peers.crun, bench.peers.bwrap, bench.peers.runsc):
        if peer:
            command = peer.run(*_SLEEP, root=root)
            references.append(Series(peer.name, (_peer(command, own_kernel=peer is bench.peers.runsc),)))
            bench.peers.clean()
    figures = []
    for title, launcher, target in (
        ("idle busybox sleep, beyond the program", bench.launcher, _LIMIT),
        ("the same, engine process", bench.processes, None),
    ):
        ours = Series(KWHOST, tuple(idle_size(launcher, root) for _ in range(3)))
        figure = Figure(group="idle memory", name=title, ours=ours, unit=Unit.BYTES, target=target)
        figures += [figure, *(replace(figure, reference=each, target=None) for each in references)]
    return figures
