"""One forwarded system call."""

from benchmarks.bench import KWHOST, NATIVE, Bench, compare
from benchmarks.commands import figures_of
from benchmarks.figures import Figure, Target
from benchmarks.instances import GUEST_PROGRAMS
from benchmarks.rounds import Sample, interleave

__all__ = ["measure_calls"]

_COUNT = 20_000
_FEWER = 4_000
_LOOP = "KVM_RUN loop"


def measure_calls(bench: Bench) -> list[Figure]:
    """Getppid, forwarded to the host, against the bare exit that it needs."""
    program = bench.workspace.program
    samples: dict[str, Sample] = {
        KWHOST: bench.in_instance("calls", str(_COUNT)),
        _LOOP: lambda: figures_of([program("kvm_loop"), str(_COUNT)]),
        NATIVE: lambda: figures_of([program("calls"), str(_COUNT)]),
    }
    if runsc := bench.peers.runsc:
        command = runsc.run(f"{GUEST_PROGRAMS}/calls", str(_FEWER))
        samples["runsc"] = lambda: figures_of(command)
    table = interleave(samples, bench.rounds)
    targets: dict[str, Target | None] = {_LOOP: Target(limit=1.15), NATIVE: None, "runsc": None}
    return compare("system calls", f"getppid, median of {_COUNT}", table, "ns_per_call", targets)
