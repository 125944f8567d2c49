"""What the policy that instances have by default, and a jail made from its ceiling, add to their start, to
new processes, and to memory."""

import os
from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.figures import Figure, Unit
from benchmarks.instances import GUEST_PROGRAMS, parse_figures
from benchmarks.measures.idle import idle_size
from benchmarks.policies import default_policy
from benchmarks.rounds import interleave
from kwhost.core.engines.base import NO_POLICY, PolicyFds

__all__ = ["measure_policy_start"]

_WITH, _WITHOUT = "policy default", "no policy"
_PROCESSES = "20"


def _compare(name: str, sample: Callable[[PolicyFds], float], rounds: int, unit: Unit) -> Figure:
    def with_table() -> dict[str, float]:
        with default_policy() as policy:
            return {"value": sample(policy)}

    table = interleave({_WITH: with_table, _WITHOUT: lambda: {"value": sample(NO_POLICY)}}, rounds)
    ours, reference = (table[label]["value"] for label in (_WITH, _WITHOUT))
    return Figure(group="the default policy", name=name, ours=ours, reference=reference, unit=unit)


def measure_policy_start(bench: Bench) -> list[Figure]:
    """Launcher to exit of busybox true, fork and exec inside, PSS of an idle instance."""
    launcher, root = bench.launcher, bench.workspace.busybox_root()
    bench.workspace.program("processes")
    start = launcher.plan(("/bin/true",), rootfs=root)
    argv = (f"{GUEST_PROGRAMS}/processes", "exec", _PROCESSES, "/bin/true")
    processes = launcher.plan(argv, programs=bench.workspace.programs)

    def each_process(policy: PolicyFds) -> float:
        return parse_figures(launcher.run(processes, policy=policy).output)["ns_per_process"]

    time, size = Unit.NANOSECONDS, Unit.BYTES
    figures = [
        _compare(
            "busybox true, launcher to exit",
            lambda policy: launcher.run(start, policy=policy).wall_ns,
            10 * bench.rounds,
            time,
        ),
        _compare("fork and exec of /bin/true", each_process, 3 * bench.rounds, time),
    ]
    if os.geteuid() == 0:
        idle = "idle busybox sleep, beyond the program"
        figures.append(_compare(idle, lambda policy: idle_size(launcher, root, policy), 3, size))
    return figures
