"""`make run`: what it shows works, and nothing of it stays."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.kvm
@pytest.mark.slow
def test_the_demonstration_runs_well_and_cleans_up(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/demo.py"],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"web-2 +running +healthy", done.stdout)
    assert "nothing is left" in done.stdout
