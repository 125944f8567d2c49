"""Starting an instance of the process engine."""

from benchmarks.bench import KWHOST, Bench, compare
from benchmarks.commands import time_command
from benchmarks.figures import Figure, Target
from benchmarks.policies import default_policy
from benchmarks.rounds import Sample, interleave

__all__ = ["measure_process_start"]

_PROGRAM = "/bin/true"
_DIRECT = "engine direct"


def measure_process_start(bench: Bench) -> list[Figure]:
    """Launcher to exit of busybox true, in the full jail, with the default policy."""
    root = bench.workspace.busybox_root()
    plan = bench.processes.plan((_PROGRAM,), rootfs=root)

    def instance() -> dict[str, float]:
        with default_policy() as policy:
            run = bench.processes.run(plan, policy=policy)
        return {"wall": run.wall_ns, "ready": run.ready_ns}

    def machine() -> dict[str, float]:
        with default_policy() as policy:
            return {"wall": bench.launcher.run(plan, policy=policy).wall_ns}

    samples: dict[str, Sample] = {KWHOST: instance, _DIRECT: machine}
    for peer in (bench.peers.bwrap, bench.peers.crun):
        if peer:
            command = peer.run(_PROGRAM, root=root)
            samples[peer.name] = lambda command=command: {"wall": time_command(command)}  # type: ignore[misc]
    table = interleave(samples, 4 * bench.rounds)
    targets = {"bwrap": Target(limit=2), "crun": None, _DIRECT: None}
    figures = compare("engine process", "busybox true, launcher to exit", table, "wall", targets)
    ready = table[KWHOST]["ready"]
    return [*figures, Figure(group="engine process", name="launcher to the program's execve", ours=ready)]
