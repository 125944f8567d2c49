"""The monitor's C units with sanitizers, and its fuzz targets for a fixed number of inputs."""

import subprocess
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1100)
def test_c_units_and_fuzz_targets(project: Path) -> None:
    result = subprocess.run(
        [project / "tools/c_tests.sh"], capture_output=True, text=True, check=False, timeout=1000
    )

    assert result.returncode == 0, result.stdout + result.stderr
