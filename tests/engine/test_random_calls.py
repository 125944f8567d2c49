"""A guest that makes random system calls with hostile arguments does not harm its monitor."""

import pytest

from tests.engine.conftest import HOSTILE, Run, Workshop

pytestmark = [pytest.mark.kvm, pytest.mark.root]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_monitor_survives_random_calls(workshop: Workshop, run_inside: Run, seed: int) -> None:
    program = workshop.build(HOSTILE / "random_calls.c")

    outcome = run_inside([program, "60", str(seed)])

    assert (outcome.status, outcome.output, outcome.errors) == (0, "done 60\n", "")
