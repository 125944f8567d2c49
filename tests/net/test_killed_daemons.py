"""A daemon may be killed between any two steps of attaching and detaching: the next one makes it whole."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.net, pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]

# Addresses, namespace, links, tables, names, ports, and all that once more when the instance has ended.
STEPS = 50


@pytest.mark.usefixtures("bare_world")
def test_the_next_daemon_finds_or_removes_what_was_begun(project: Path, tmp_path: Path) -> None:
    """Addresses, links, rules, the forwarder's ports and relays, names: all there and in use, or all gone."""
    alone = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (tmp_path / "said").open("w+") as said:
        done = subprocess.run(
            [*alone, sys.executable, "-m", "tests.net.killed_daemons", str(tmp_path)],
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            check=False,
            timeout=280,
        )
        said.seek(0)
        assert done.returncode == 0, said.read()

    assert int(done.stdout) >= STEPS
