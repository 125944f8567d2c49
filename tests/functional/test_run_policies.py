"""`kwhost run --policy` in the foreground, without a daemon."""

from pathlib import Path

import pytest

from tests.conftest import RunKwhost

pytestmark = pytest.mark.kvm


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_a_policy_file_holds(run_kwhost: RunKwhost, policy: Path) -> None:
    policy.write_text('base = "default"\nfiles = [{ path = "/tmp/**", access = "r" }]\n')

    done = run_kwhost(["--policy", str(policy), "--", "sh", "-c", "echo > /tmp/file"])

    assert "Permission denied" in done.stderr
    assert done.returncode == 2


def test_a_built_in_policy_holds(run_kwhost: RunKwhost) -> None:
    program = "import socket\ntry: socket.socket()\nexcept OSError as error: print(error.strerror)"

    done = run_kwhost(["--policy", "strict", "--", "python3", "-c", program])

    assert done.stdout == "Operation not permitted\n"


def test_without_one_the_default_holds(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(["--stats", "--", "unshare", "-m", "true"])

    assert "Operation not permitted" in done.stderr
    assert "errno:EPERM unshare with 0 & CLONE_NEWNS == CLONE_NEWNS (instance, default)" in done.stderr


def test_mistakes_are_told_at_once_and_nothing_is_started(run_kwhost: RunKwhost, policy: Path) -> None:
    policy.write_text('bas = "default"\nsyscalls = { deny = ["mkdr"] }\n')

    done = run_kwhost(["--policy", str(policy), "--", "echo", "started"])

    assert (done.returncode, done.stdout) == (125, "")
    assert "mine.toml:1: bas: unknown key; did you mean base?" in done.stderr
    assert "mine.toml:2: syscalls.deny[0]: there is no system call 'mkdr'; did you mean mkdir?" in done.stderr


def test_what_a_rule_asks_is_refused_and_told_once(run_kwhost: RunKwhost, policy: Path) -> None:
    policy.write_text('base = "default"\nsyscalls = { ask = ["mkdir"] }\n')

    done = run_kwhost(["--policy", str(policy), "--", "sh", "-c", "mkdir /tmp/a; mkdir /tmp/b"])

    assert done.stderr.count("Operation not permitted") == 2
    assert done.stderr.count('the rule "ask mkdir" asks about mkdir(0, 511): it is refused') == 1
