"""The limits that the monitors of an instance keep together."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.conftest import SECONDS
from tests.engine.workshop import Workshop

pytestmark = [pytest.mark.kvm, pytest.mark.root]

PROGRAM = Path(__file__).parent / "limits.c"
MIB = 1 << 20


def run_limited(workshop: Workshop, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.engine.limited", "--folder", str(workshop.folder), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.hw
@pytest.mark.parametrize("limit", [8, 40])
def test_processes_and_threads_are_counted_together(workshop: Workshop, limit: int) -> None:
    program = workshop.build(PROGRAM)

    done = run_limited(workshop, "--pids", str(limit), "--", program, "pids", str(limit))

    assert (done.returncode, done.stdout) == (0, "all held\n"), done.stderr


@pytest.mark.hw
def test_private_memory_is_counted_together(workshop: Workshop) -> None:
    program = workshop.build(PROGRAM)
    limit = str(64 * MIB)

    done = run_limited(workshop, "--memory", limit, "--", program, "memory", limit)

    assert (done.returncode, done.stdout) == (0, "all held\n"), done.stderr


def test_both_limits_leave_ordinary_programs_alone(workshop: Workshop) -> None:
    script = "import subprocess, threading; [subprocess.run(['true'], check=True) for _ in range(30)]; print('well')"

    done = run_limited(workshop, "--memory", str(256 * MIB), "--pids", "10", "--", "python3", "-c", script)

    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr
