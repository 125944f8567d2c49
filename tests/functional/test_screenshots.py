"""`make screenshots`: the documents' pictures are of real instances."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tui.screenshots import PICTURES


@pytest.mark.kvm
@pytest.mark.root
@pytest.mark.net
@pytest.mark.slow
def test_every_picture_is_drawn(project: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.tui.screenshots", str(tmp_path)],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert done.returncode == 0, done.stderr
    assert {path.stem for path in tmp_path.iterdir()} == {f"tui-{picture.name}" for picture in PICTURES}
    assert all("acme" in path.read_text() for path in tmp_path.iterdir())
