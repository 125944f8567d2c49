"""The commands of docs/storage.md that go through all of it once."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.hosting import Daemon

pytestmark = [
    pytest.mark.kvm,
    pytest.mark.root,
    pytest.mark.skipif(not shutil.which("umoci"), reason="needs umoci"),
]


def test_they_do_what_they_promise(project: Path, tmp_path: Path) -> None:
    (script,) = re.findall(r"(?s)```sh\n(.*?)```", (project / "docs/storage.md").read_text())
    daemon = Daemon()  # its directories alone: the script starts it
    kwhost = f'kwhost() {{ {sys.executable} -m kwhost "$@"; }}\n'
    try:
        done = subprocess.run(
            ["sh", "-eu", "-c", kwhost + script], cwd=tmp_path, env=daemon.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        left = [*daemon.state_dir.glob("volumes/*/*"), *daemon.state_dir.glob("images/layers/*")]
    finally:
        daemon.close()

    assert done.returncode == 0, done.stderr
    assert "\nkept\n" in done.stdout
    assert left == []
