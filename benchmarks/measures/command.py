"""The whole command, as a user types it."""

import sys
from pathlib import Path

from benchmarks.bench import KWHOST, Bench, compare
from benchmarks.commands import time_command
from benchmarks.figures import Figure, Target
from benchmarks.rounds import Sample, interleave

__all__ = ["measure_command"]

_IMPORT = "python -c 'import trio, pluggy'"
_BARE = "python -c pass"


def measure_command(bench: Bench) -> list[Figure]:
    """`kwhost run -- /bin/true` against importing what any trio program with plugins imports."""
    script = Path(sys.executable).with_name("kwhost")
    kwhost = [script] if script.exists() else [Path(sys.executable), "-m", "kwhost"]
    run = [*kwhost, "run", "--image", "host", "--", "/bin/true"]
    samples: dict[str, Sample] = {
        KWHOST: lambda: {"wall": time_command(run)},
        _IMPORT: lambda: {"wall": time_command([sys.executable, "-c", "import trio, pluggy"])},
        _BARE: lambda: {"wall": time_command([sys.executable, "-c", "pass"])},
    }
    table = interleave(samples, 2 * bench.rounds)
    targets = {_IMPORT: Target(limit=1.35), _BARE: None}
    return compare("command", "kwhost run --image host -- /bin/true", table, "wall", targets)
