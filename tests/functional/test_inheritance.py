"""What a program must not inherit from whoever ran `kwhost run`."""

import ctypes
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from tests.patience import SECONDS

pytestmark = [pytest.mark.kvm, pytest.mark.root]


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


PR_SET_MEMORY_MERGE = 67


def _merges_everything() -> None:
    ctypes.CDLL(None).prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_no_pages_are_merged_with_other_tenants(kwhost_command: list[str]) -> None:
    """Whoever starts kwhost may have asked for it (MemoryKSM= of a systemd unit)."""
    with subprocess.Popen(
        [*kwhost_command, "run", "-i", "--", "sh", "-c", "echo up; read x"],
        preexec_fn=_merges_everything,  # noqa: PLW1509 - these tests have no threads
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as command:
        assert command.stdout
        try:
            told = _merging(command.pid)
            if told is None:
                pytest.skip("this kernel merges no pages, or does not tell")
            up = command.stdout.read(3)
            [supervise] = _children(command.pid)
            [monitor] = _children(supervise)
            merging = [_merging(pid) for pid in (supervise, monitor)]
        finally:
            command.kill()

    assert (told, up) == ("yes", b"up\n")
    assert merging == ["no", "no"]


def _merging(pid: int) -> str | None:
    try:
        lines = Path(f"/proc/{pid}/ksm_stat").read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[-1] for line in lines if line.startswith("ksm_merge_any")), None)
