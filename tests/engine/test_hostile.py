"""Programs that attack what runs them: they may harm themselves, and nothing else."""

import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.engine.conftest import Outcome, Run
from tests.engine.ways import BARE, BROKERED, DIRECT, PROCESS, USER, Way, case
from tests.engine.workshop import HOSTILE, HOSTILE_ON_HARDWARE, Workshop, emulated_arguments
from tests.host_mounts import host_mounts
from tests.patience import SECONDS

pytestmark = pytest.mark.root

# Words of lines that the programs print when an attack got somewhere.
ALARMS = ("OPENED", "LINK ", "RING", "PORT OPEN", "OUT ", "IN ", "DOES NOT END", "DAMAGED", "FEW", ": NO")
# Lines with such words that are no alarm where the program is a process of this kernel's.
_OWN = [
    f"OPENED /proc/self/{name}" for name in "pagemap clear_refs stack syscall personality uid_map".split()
]
HARMLESS_IN_A_PROCESS = {"proc_escape": _OWN}  # look_closer() in proc_escape.c shows why
# They are about sockets, and about rules on paths that take a broker: neither is to be had there.
NOT_WITHOUT_NAMESPACES = {"full_table", "moved_directories"}


def _cases() -> Iterator[object]:
    for source in sorted(HOSTILE.glob("*.c")):
        hardware = (pytest.mark.hw,) if source.stem in HOSTILE_ON_HARDWARE else ()
        yield case(DIRECT, source, name=source.stem, marks=hardware)
        ways = (PROCESS, USER) if source.with_suffix(".toml").exists() else (PROCESS, USER, BROKERED)
        yield from (case(way, source, name=source.stem) for way in ways)
        if source.stem not in NOT_WITHOUT_NAMESPACES:
            yield case(BARE, source, name=source.stem)


@pytest.mark.slow
@pytest.mark.parametrize(("source", "way"), [*_cases()], indirect=["way"])
def test_only_itself_is_harmed(source: Path, way: Way, workshop: Workshop, run_inside: Run) -> None:
    mark = f"HOSTILE={uuid.uuid4()}"
    mounts = host_mounts()
    policy = source.with_suffix(".toml")
    options = ["-e", mark, *(["--policy", str(policy)] if policy.exists() else [])]

    outcome = run_inside([workshop.build(source), *emulated_arguments(source)], options=options)

    harmless = () if way.is_direct or way.is_bare else HARMLESS_IN_A_PROCESS.get(source.stem, ())
    _check(outcome, harmless)
    _nobody_has(mark)
    assert host_mounts() == mounts


def _check(outcome: Outcome, harmless: Sequence[str]) -> None:
    shown = f"{outcome.output}\n{outcome.errors}"
    assert outcome.status == 0, shown
    assert outcome.output.splitlines()[-1:] == ["survived"], shown
    alarms = [line for line in outcome.output.splitlines() if any(word in line for word in ALARMS)]
    assert alarms == list(harmless), shown


def _nobody_has(mark: str) -> None:
    """No process with this variable is left (a monitor's environment is its program's)."""
    end = time.monotonic() + SECONDS
    while left := [path for path in Path("/proc").glob("[0-9]*/environ") if mark.encode() in _content(path)]:
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.02)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_an_attack_leaves_a_neighbour_alone(workshop: Workshop, run_inside: Run) -> None:
    """An instance started right after runs as if nothing had been."""
    run_inside([workshop.build(HOSTILE / "frames.c")])

    assert run_inside(["/bin/sh", "-c", "echo well"]).output == "well\n"
