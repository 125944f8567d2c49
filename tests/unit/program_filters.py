"""The filters of programs without a monitor, made and run by kwhost/monitor/tests/program_filter_eval.c."""

import subprocess
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.ceiling_table import compile_ceiling
from kwhost.core.policy.compile import compile_layers
from kwhost.core.policy.model import Layer

__all__ = ["Decided", "FilterTool", "Outcome", "build_filter_tool"]

_UNITS = (
    *("jail/program_filter", "jail/program_code", "jail/program_rules", "jail/program_change"),
    *("policy/validate", "policy/decide", "base/text"),
)


class Outcome(Enum):
    """What a filter returns, without the errno."""

    ALLOWED = 0x7FFF0000
    ASKED = 0x7FC00000
    REFUSED = 0x00050000
    KILLED = 0x80000000


class Decided(NamedTuple):
    """Of one call: what becomes of it, after how many instructions; with which errno the engine refuses it,
    and whether the broker makes it."""

    outcome: Outcome
    steps: int
    refusal: int
    performed: bool


class FilterTool(NamedTuple):
    """The program, and a directory for its input."""

    program: Path
    folder: Path

    def decide(
        self,
        layers: Sequence[Layer],
        calls: Iterable[tuple[str | int, Sequence[int]]],
        *,
        files: bool = True,
        learn: bool = False,
        channel: int = -1,
    ) -> list[Decided]:
        """What the filter that is made from these layers and their ceiling makes of each call."""
        table = self._write("policy", compile_layers(layers).data)
        ceiling = self._write("ceiling", compile_ceiling(layers))
        lines = (
            " ".join(map(str, [CALLS.get(str(call), call), *arguments, *[0] * (6 - len(arguments))])) + "\n"
            for call, arguments in calls
        )
        done = subprocess.run(
            [self.program, table, ceiling, str(int(files)), str(int(learn)), str(channel)],
            input="".join(lines),
            capture_output=True,
            text=True,
            check=True,
        )
        return [_decided(line) for line in done.stdout.splitlines()[1:]]

    def change(self, old: Sequence[Layer], new: Sequence[Layer]) -> int:
        """enum program_change: 0 where a filter made from the old layers goes with the new ones."""
        before = self._write("policy", compile_layers(old).data)
        after = self._write("changed", compile_layers(new).data)
        done = subprocess.run(
            [self.program, before, after, "change"], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    def _write(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


def _decided(line: str) -> Decided:
    verdict, steps, refusal, performed = map(int, line.split())
    outcome = Outcome(verdict & 0xFFFF0000)
    assert outcome is not Outcome.REFUSED or verdict & 0xFFFF == refusal
    return Decided(outcome, steps, refusal, bool(performed))


def build_filter_tool(project: Path, folder: Path) -> FilterTool:
    """Compile it, without a C library's headers for what is the monitor's."""
    monitor = project / "kwhost/monitor"
    compiler = ("gcc", "-std=gnu11", "-O1", "-I", monitor)
    objects = []
    for unit in _UNITS:
        objects.append(folder / f"{Path(unit).name}.o")
        freestanding = ("-ffreestanding", "-fno-builtin", "-c", monitor / f"{unit}.c", "-o", objects[-1])
        subprocess.run([*compiler, *freestanding], check=True)
    program = folder / "program-filter"
    main = monitor / "tests/program_filter_eval.c"
    subprocess.run([*compiler, main, *objects, "-o", program], check=True)
    return FilterTool(program, folder)
