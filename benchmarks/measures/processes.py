"""Making processes inside an instance."""

from benchmarks.bench import KWHOST, NATIVE, Bench, compare
from benchmarks.commands import figures_of
from benchmarks.figures import Figure, Target
from benchmarks.instances import GUEST_PROGRAMS
from benchmarks.rounds import Sample, interleave

__all__ = ["measure_processes"]

_COUNT = "20"
_FORK_EXEC = Target(limit=8e6, absolute=True)
_CASES = {
    "exec": "fork and exec of /bin/true",
    "vfork": "vfork and exec of /bin/true",
    "spawn": "posix_spawn of /bin/true",
    "fork": "fork alone",
}


def measure_processes(bench: Bench) -> list[Figure]:
    """From making one to having waited for its end."""
    program = bench.workspace.program("processes")
    figures = []
    for kind, title in _CASES.items():
        arguments = (kind, _COUNT, "/bin/true")
        samples: dict[str, Sample] = {
            KWHOST: bench.in_instance("processes", *arguments),
            NATIVE: lambda arguments=arguments: figures_of([program, *arguments]),  # type: ignore[misc]
        }
        if (runsc := bench.peers.runsc) and kind == "exec":
            command = runsc.run(f"{GUEST_PROGRAMS}/processes", *arguments)
            samples["runsc"] = lambda command=command: figures_of(command)  # type: ignore[misc]
        table = interleave(samples, bench.rounds)
        targets = {NATIVE: _FORK_EXEC if kind == "exec" else None, "runsc": None}
        figures += compare("processes", title, table, "ns_per_process", targets)
    return figures
