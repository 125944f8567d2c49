"""What every measurement works with."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.figures import Figure, Target
from benchmarks.instances import GUEST_PROGRAMS, Launcher
from benchmarks.peers import Peers
from benchmarks.rounds import Sample, Table
from benchmarks.workspace import Workspace

__all__ = ["KWHOST", "NATIVE", "Bench", "compare"]

KWHOST = "kwhost"
NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Bench:
    """The tools of one run. `launcher` is of the direct engine, `processes` of the process engine."""

    workspace: Workspace
    launcher: Launcher
    processes: Launcher
    peers: Peers
    rounds: int

    def in_instance(self, name: str, *arguments: str) -> Sample:
        """One of our programs, run in an instance of the image `host`."""
        self.workspace.program(name)
        argv = (f"{GUEST_PROGRAMS}/{name}", *arguments)
        plan = self.launcher.plan(argv, programs=self.workspace.programs)
        return lambda: self.launcher.figures(plan)


def compare(
    group: str,
    title: str,
    table: Table,
    name: str,
    targets: Mapping[str, Target | None],
    *,
    speed: bool = False,
) -> list[Figure]:
    """Our figure `name` beside each reference that was measured."""
    return [
        Figure(
            group=group,
            name=title,
            ours=table[KWHOST][name],
            reference=table[label][name],
            target=target,
            speed=speed,
        )
        for label, target in targets.items()
        if label in table
    ]
