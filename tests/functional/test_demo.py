"""`make run`: what it shows works, and nothing of it stays."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.session import Session
from tests.functional.without_kvm import hide_kvm
from tests.patience import SECONDS


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


@pytest.mark.root
@pytest.mark.slow
def test_without_kvm_it_shows_what_allows_a_weaker_engine(project: Path) -> None:
    done = subprocess.run(
        hide_kvm(sys.executable, "tools/demo.py"),
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("There is no KVM: ") == 1
    assert re.search(r"lab +clock +running .* process \(no VM\)", done.stdout)
    assert not re.search(r"acme +.* running ", done.stdout)
    assert "nothing is left" in done.stdout


@pytest.mark.kvm
@pytest.mark.slow
def test_on_a_terminal_the_demonstration_ends_in_the_terminal_interface(project: Path) -> None:
    session = Session([sys.executable, "tools/demo.py"], cwd=project)
    try:
        session.wait_for("Now a daemon hosts")
        session.wait_for("web-1")
        session.type("q")
        session.wait_for("nothing is left")
        assert session.process.wait(SECONDS) == 0
    finally:
        if session.process.poll() is None:
            session.process.terminate()  # it ends what it hosts
            session.process.wait(SECONDS)
        session.close()
