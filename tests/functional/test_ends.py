"""However `kwhost run` ends, nothing of its instance stays behind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.host_mounts import host_mounts
from tests.patience import SECONDS

pytestmark = pytest.mark.kvm


def start(
    kwhost_command: list[str], script: str, *options: str, stdin: int = subprocess.DEVNULL
) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [*kwhost_command, "run", *options, "--", "sh", "-c", script],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    return process


def descendants(pid: int) -> set[int]:
    """All processes below one, by /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = set(), [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found |= set(below)
        waiting += below
    return found


def wait_gone(pids: set[int]) -> None:
    end = time.monotonic() + SECONDS
    while left := {pid for pid in pids if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.01)


@pytest.mark.hw
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_process_and_no_mount_is_left(kwhost_command: list[str], number: int) -> None:
    before = host_mounts()
    process = start(kwhost_command, "sleep 1000 & sleep 1000 & echo up; wait")
    below = descendants(process.pid)
    assert len(below) >= 4

    process.send_signal(number)
    process.communicate(timeout=SECONDS)

    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    wait_gone(below)
    assert host_mounts() == before


def test_signals_reach_the_programs_handlers(kwhost_command: list[str]) -> None:
    process = start(kwhost_command, "trap 'echo caught; exit 7' TERM; echo up; while :; do sleep 0.05; done")

    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=SECONDS)

    assert (out, process.returncode) == ("caught\n", 7)


def test_a_signal_that_the_command_was_started_to_ignore_stays_ignored(kwhost_command: list[str]) -> None:
    """As nohup does it."""
    nohup = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *kwhost_command]
    process = start(nohup, "echo up; read line; echo $line", "-i", stdin=subprocess.PIPE)

    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate("went on\n", timeout=SECONDS)

    assert (out, process.returncode) == ("went on\n", 0)


def test_closed_standard_streams_harm_nothing(kwhost_command: list[str]) -> None:
    for arguments, status in (("-- sh -c 'exit 9'", 9), ("--help", 0), ("--nonsense", 125)):
        script = f'"$@" run {arguments} <&- >&- 2>&-'
        assert subprocess.run(["sh", "-c", script, "sh", *kwhost_command], check=False).returncode == status


def test_a_second_interrupt_kills(kwhost_command: list[str]) -> None:
    process = start(kwhost_command, "trap 'echo no' INT; echo up; while :; do sleep 0.05; done")

    process.send_signal(signal.SIGINT)
    assert process.stdout
    assert process.stdout.readline() == "no\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)

    assert process.returncode == 128 + 9


@pytest.mark.slow
def test_killing_the_command_at_any_time_leaves_nothing(kwhost_command: list[str]) -> None:
    """From the interpreter's first steps to the instance's middle age."""
    before = host_mounts()
    for delay in (0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.4):
        process = subprocess.Popen(
            [*kwhost_command, "run", "--", "sleep", "1000"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        below = descendants(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_gone(below)
    assert host_mounts() == before


def _owner(pid: int) -> int | None:
    """The user of a process; None if it has just ended: the start's own helpers come and go."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except FileNotFoundError:
        return None


@pytest.mark.hw
def test_two_at_once_have_different_ids(kwhost_command: list[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's instances share the user's id")
    running = [start(kwhost_command, "echo up; sleep 1000") for _ in range(3)]
    owners = []
    for process in running:
        owners.append(set(filter(None, map(_owner, descendants(process.pid)))) - {0})
    for process in running:
        process.kill()
        process.communicate()

    assert [len(ids) for ids in owners] == [1, 1, 1]
    assert len(set.union(*owners)) == 3
