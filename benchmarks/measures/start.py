"""Starting: the machine alone, and a whole small instance."""

from benchmarks.bench import KWHOST, Bench, compare
from benchmarks.commands import Command, figures_of, time_command
from benchmarks.figures import Figure, Target
from benchmarks.rounds import Sample, interleave

__all__ = ["measure_machine", "measure_start"]

_PROGRAM = "/bin/true"
_EMPTY = "empty VM"


def measure_machine(bench: Bench) -> list[Figure]:
    """The monitor's main to the first guest instruction, against making an empty VM with a vCPU."""
    empty = bench.workspace.program("kvm_make")
    plan = bench.launcher.plan((_PROGRAM,), rootfs=bench.workspace.busybox_root())
    samples: dict[str, Sample] = {
        KWHOST: lambda: {"ns": bench.launcher.run(plan).start_ns},
        _EMPTY: lambda: figures_of([empty]),
    }
    table = interleave(samples, 5 * bench.rounds)
    return compare("start", "monitor main to first guest instruction", table, "ns", {_EMPTY: Target(limit=2)})


def _timed(command: Command) -> Sample:
    return lambda: {"wall": time_command(command)}


def measure_start(bench: Bench) -> list[Figure]:
    """Launcher to exit of busybox true, in the full jail."""
    root = bench.workspace.busybox_root()
    plan = bench.launcher.plan((_PROGRAM,), rootfs=root)

    def instance() -> dict[str, float]:
        run = bench.launcher.run(plan)
        return {"wall": run.wall_ns, "ready": run.ready_ns}

    samples: dict[str, Sample] = {KWHOST: instance}
    for peer in (bench.peers.crun, bench.peers.bwrap, bench.peers.runsc):
        if peer:
            samples[peer.name] = _timed(peer.run(_PROGRAM, root=root))
    table = interleave(samples, 4 * bench.rounds)
    targets = {"crun": Target(limit=1.2), "bwrap": None, "runsc": None}
    figures = compare("start", "busybox true, launcher to exit", table, "wall", targets)
    ready = Figure(group="start", name="launcher to first guest instruction", ours=table[KWHOST]["ready"])
    return [*figures, ready]
