"""The log and the exit record that `supervise` writes, without a daemon."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwhost.core.abi.exit_record import EndReason
from kwhost.core.abi.messages import (
    AttachFlag,
    EventType,
    attach,
)
from kwhost.core.model.instance import LogLimits
from tests.functional.hosted import HostedInstance, New, Pipes, read_until, wait_until
from tests.patience import SECONDS

pytestmark = pytest.mark.kvm

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
BOTH = AttachFlag.STDIN | AttachFlag.OUTPUT


def fill_up(disk: Path) -> Path:
    """Take all the room; the file that does."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


def test_output_is_logged_line_by_line(hosted: HostedInstance) -> None:
    hosted.shell("echo one; echo two >&2; printf 'three\\n\\nfour'; exit 7")

    record = hosted.wait()

    assert (record.reason, record.status, record.text) == (EndReason.EXITED, 7, "")
    assert 0 <= time.time_ns() - record.ended_ns < SECONDS * 10**9
    assert 0 < record.ended_ns - record.started_ns < SECONDS * 10**9
    lines = hosted.log()
    assert all(TIME.fullmatch(line.time) for line in lines)
    assert abs(time.time() - time.mktime(time.strptime(lines[0].time[:19], "%Y-%m-%dT%H:%M:%S"))) < 90_000
    assert [(line.tag, line.text) for line in lines if line.stream == "stdout"] == [
        ("F", "one"),
        ("F", "three"),
        ("F", ""),
        ("P", "four"),
    ]
    assert [(line.tag, line.text) for line in lines if line.stream == "stderr"] == [("F", "two")]


def test_a_line_without_an_end_is_logged_soon(hosted: HostedInstance) -> None:
    hosted.shell("printf prompt; read answer; echo done", interactive=True)

    wait_until(lambda: [(line.tag, line.text) for line in hosted.log()] == [("P", "prompt")])


def test_long_lines_are_cut_into_records(hosted: HostedInstance) -> None:
    hosted.shell("i=0; while [ $i -lt 4000 ]; do printf 0123456789; i=$((i+1)); done; echo")

    hosted.wait()

    assert [(line.tag, len(line.text)) for line in hosted.log()] == [("P", 16384), ("P", 16384), ("F", 7232)]
    assert hosted.logged() == "0123456789" * 4000 + "\n"


def test_the_log_stays_within_its_limits(hosted: HostedInstance) -> None:
    line = "x" * 1000
    hosted.start(
        "/bin/busybox",
        "sh",
        "-c",
        f"yes {line} | head -n 2000; echo last",
        log=LogLimits(size=200_000, files=3),
    )

    hosted.wait()

    files = hosted.log_files()
    assert [file.name for file in files] == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 200_000 for file in files)
    assert files[1].stat().st_size > 190_000
    assert hosted.log()[-1].text == "last"
    assert {entry.text for entry in hosted.log()[:-1]} == {line}


def test_another_run_appends_to_the_log(hosted: HostedInstance) -> None:
    (hosted.dirs.state / "log").write_text("cut off")
    hosted.shell("echo new")

    hosted.wait()

    assert (hosted.dirs.state / "log").read_text().startswith("cut off\n20")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.root
def test_a_full_disk_loses_lines_and_nothing_else(new: New, small_disk: Path) -> None:
    hosted = new(small_disk)
    hosted.shell("read go; yes 0123456789 | head -c 800000; exit 6", interactive=True)
    client = hosted.connect()
    client.started()

    hosted.say("go\n")

    assert "log" in client.event(EventType.NOTICE).text
    record = hosted.wait()
    assert record.status == 6
    assert record.lost_log > 500_000
    assert 400_000 < (hosted.dirs.state / "log").stat().st_size <= 512 * 1024


@pytest.mark.root
def test_the_log_tells_of_its_loss_once_there_is_room(new: New, small_disk: Path, pipes: Pipes) -> None:
    hosted = new(small_disk)
    (stdin, feed), (out, stdout), (_, stderr) = pipes(), pipes(), pipes()
    hosted.shell("read go; yes | head -c 9000; echo done; read go; echo back", interactive=True)
    client = hosted.connect()
    client.send(attach(BOTH), stdin, stdout, stderr)
    client.started()
    ballast = fill_up(small_disk)

    os.write(feed, b"go\n")
    read_until(out, b"done\n")
    ballast.unlink()
    os.write(feed, b"go\n")
    record = hosted.wait()

    assert record.lost_log > 9000
    assert [line.text for line in hosted.log()] == [
        f"kwhost: {record.lost_log} bytes of log were lost",
        "back",
    ]


def test_log_and_record_are_written_when_the_starter_is_dead(hosted: HostedInstance) -> None:
    starter = os.fork()
    if starter == 0:
        hosted.shell("echo up; read go; echo went on; exit 9", interactive=True)
        signal.pause()
        os._exit(1)
    wait_until(lambda: hosted.log_files() and hosted.logged() == "up\n")
    os.kill(starter, signal.SIGKILL)
    os.waitpid(starter, 0)

    hosted.say("go\n")

    record = wait_until(hosted.dirs.read_exit)
    assert record.status == 9
    assert hosted.logged() == "up\nwent on\n"


def test_deleted_directories_harm_nothing(hosted: HostedInstance) -> None:
    hosted.shell("read go; echo hello; exit 3", interactive=True, log=LogLimits(size=65_536, files=2))
    client = hosted.connect()
    client.started()
    feeder = hosted.connect()
    read, write = os.pipe()
    hosted.dirs.remove()

    feeder.send(attach(AttachFlag.STDIN), read)
    os.write(write, b"go\n")
    event = client.event(EventType.EXITED)
    os.close(read)
    os.close(write)

    assert event.value == 3


def test_a_start_that_fails_leaves_the_reason(hosted: HostedInstance) -> None:
    hosted.start("/bin/nothing-there")

    record = hosted.wait()

    assert (record.reason, record.failed_status) == (EndReason.FAILED, 127)
    assert "/bin/nothing-there" in record.text
