"""Native programs of tests, built by the tests that need them."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["built"]


def built(project: Path, target: str) -> Path:
    """A program of CMakeLists.txt that is no part of the package."""
    build = project / "build/dev"
    subprocess.run(
        ["flock", build / "lock", "cmake", "--build", build, "--target", target],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    return build / target
