"""What a program must not inherit from whoever ran `kwhost run`."""

import resource
import signal
import subprocess

import pytest

pytestmark = [pytest.mark.kvm, pytest.mark.root]

SECONDS = 40


def test_a_stack_without_limit_does_not_move_the_window(kwhost_command: list[str]) -> None:
    """The kernel lays out addresses by that limit; guests see it all the same."""

    def unlimited() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    outcome = subprocess.run(
        [*kwhost_command, "run", "--", "sh", "-c", "ulimit -s; sh -c 'ulimit -s'"],
        preexec_fn=unlimited,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert (outcome.returncode, outcome.stdout) == (0, "unlimited\nunlimited\n"), outcome.stderr


def test_ignored_signals_are_the_callers_own_affair(kwhost_command: list[str]) -> None:
    """Python ignores SIGPIPE and SIGXFSZ, nohup SIGHUP."""

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)

    outcome = subprocess.run(
        [*kwhost_command, "run", "--", "grep", "SigIgn", "/proc/self/status"],
        preexec_fn=ignore,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert outcome.stdout.split() == ["SigIgn:", "0" * 16], outcome.stderr
