"""Programs that attack the monitor: they may harm themselves, and nothing else."""

import time
import uuid
from pathlib import Path

import pytest

from tests.engine.conftest import Outcome, Run
from tests.engine.workshop import HOSTILE, HOSTILE_ON_HARDWARE, Workshop, emulated_arguments
from tests.patience import SECONDS

pytestmark = [pytest.mark.kvm, pytest.mark.root]

# Words that the programs print when an attack got somewhere.
ALARMS = ("OPENED", "LINK ", "RING", "PORT OPEN", "OUT ", "IN ", "DOES NOT END", "DAMAGED", "FEW", "NO\n")


def _cases() -> list[object]:
    return [
        pytest.param(
            source, id=source.stem, marks=[pytest.mark.hw] if source.stem in HOSTILE_ON_HARDWARE else []
        )
        for source in sorted(HOSTILE.glob("*.c"))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("source", _cases())
def test_only_itself_is_harmed(source: Path, workshop: Workshop, run_inside: Run) -> None:
    mark = f"HOSTILE={uuid.uuid4()}"
    mounts = Path("/proc/self/mountinfo").read_text()
    policy = source.with_suffix(".toml")
    options = ["-e", mark, *(["--policy", str(policy)] if policy.exists() else [])]

    outcome = run_inside([workshop.build(source), *emulated_arguments(source)], options=options)

    _check(outcome)
    _nobody_has(mark)
    assert Path("/proc/self/mountinfo").read_text() == mounts


def _check(outcome: Outcome) -> None:
    shown = f"{outcome.output}\n{outcome.errors}"
    assert outcome.status == 0, shown
    assert outcome.output.splitlines()[-1:] == ["survived"], shown
    assert not [word for word in ALARMS if word in outcome.output], shown


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
