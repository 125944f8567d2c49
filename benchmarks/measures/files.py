"""Reading files that lie in the page cache."""

from benchmarks.bench import KWHOST, NATIVE, Bench, compare
from benchmarks.commands import figures_of
from benchmarks.figures import Figure, Target
from benchmarks.instances import GUEST_PROGRAMS
from benchmarks.rounds import Sample, interleave

__all__ = ["measure_files"]

_MEBIBYTES = 16
# Kibibytes of a read(2), 0 for a mapping; times the file is read; title. 128 KiB is what cat and cp read.
_CASES = (
    (4, 1, "reading a file, 4 KiB a call"),
    (128, 4, "reading a file, 128 KiB a call"),
    (1024, 4, "reading a file, 1 MiB a call"),
    (0, 2, "reading a mapped file"),
)
_TARGET_AT = 128


def measure_files(bench: Bench) -> list[Figure]:
    """With calls of several sizes, and through a mapping."""
    program = bench.workspace.program("reads")
    file = bench.workspace.file("data", _MEBIBYTES)
    figures = []
    for kibibytes, times, title in _CASES:
        arguments = (str(kibibytes), str(times))
        inside = bench.in_instance("reads", f"{GUEST_PROGRAMS}/{file.name}", *arguments)
        command = [program, file, *arguments]
        samples: dict[str, Sample] = {
            KWHOST: inside,
            NATIVE: lambda command=command: figures_of(command),  # type: ignore[misc]
        }
        table = interleave(samples, bench.rounds)
        target = Target(limit=0.8) if kibibytes == _TARGET_AT else None
        figures += compare("files", f"{title} (per MiB)", table, "ns_per_mib", {NATIVE: target}, speed=True)
    return figures
