"""`kwhost policy learn` without a virtual machine: what is executed is learnt, too, which Landlock keeps."""

import subprocess
from pathlib import Path

import pytest

from tests.engine.ways import PROCESS
from tests.patience import SECONDS

SCRIPT = """\
#!/bin/sh
file=$(mktemp); seq 3 > $file; sort -r $file; rm $file
$EXTRA
"""


@pytest.fixture
def script(tmp_path: Path) -> list[str]:
    """What runs the script as an instance: the options, and the command."""
    path = tmp_path / "script"
    path.write_text(SCRIPT)
    path.chmod(0o755)
    tmp_path.chmod(0o755)
    return [*PROCESS.options, "-v", f"{tmp_path}:/work:ro", "--", "/work/script"]


def kwhost(command: list[str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What kwhost prints."""
    return subprocess.run(
        [*command, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_what_is_executed_is_learnt(kwhost_command: list[str], script: list[str], tmp_path: Path) -> None:
    policy = tmp_path / "learnt.toml"

    learnt = kwhost(kwhost_command, "policy", "learn", "-o", str(policy), *script)
    under = kwhost(kwhost_command, "run", "--policy", str(policy), *script)
    more = kwhost(kwhost_command, "run", "--policy", str(policy), "-e", "EXTRA=id", *script)

    assert (learnt.returncode, learnt.stdout) == (0, "3\n2\n1\n"), learnt.stderr
    assert (under.returncode, under.stdout) == (0, "3\n2\n1\n"), under.stderr
    assert more.stdout == "3\n2\n1\n"
    assert "Permission denied" in more.stderr
