"""`kwhost system reset` after a daemon was killed: nothing of its instances stays."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kwhost.core.abi.messages import MESSAGE_SIZE, Event, hello
from kwhost.core.cli.system import main
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.model.ids import InstanceId
from kwhost.core.store.logs import LogQuery, read_log
from tests.patience import SECONDS

pytestmark = [pytest.mark.kvm, pytest.mark.slow]

DAEMON = """
import sys
from pathlib import Path
from kwhost.core.config.load import load_configuration
from kwhost.core.daemon.serve import run_daemon
run_daemon(load_configuration(Path(sys.argv[1])), lambda: print("ready", flush=True))
"""
CONFIGURATION = """
[tenants.acme.instances.patient]
command = ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]
volumes = ["data:/data"]
"""


def first_process(tmp_path: Path, instance: InstanceId) -> int:
    """The host's number of an instance's first process, as `supervise` says it."""
    connection = InstanceDirs.of(tmp_path / "run", tmp_path / "state", instance).connect()
    assert connection
    with connection:
        connection.send(hello())
        answer = Event.decode(connection.recv(MESSAGE_SIZE))
    assert answer
    return answer.extra


def wait_for_directory(parent: Path) -> Path:
    deadline = time.monotonic() + SECONDS
    while not (parent.is_dir() and any(parent.iterdir())):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return next(parent.iterdir())


def wait_for_line(directory: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not any(read_log(directory, LogQuery())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_reset_ends_what_a_killed_daemon_left(tmp_path: Path) -> None:
    configuration = tmp_path / "config.toml"
    configuration.write_text(CONFIGURATION)
    daemon = subprocess.Popen(
        [sys.executable, "-c", DAEMON, configuration], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert daemon.stdout
    assert daemon.stdout.readline() == b"ready\n"
    directory = wait_for_directory(tmp_path / "state/instances")
    wait_for_line(directory)  # from now on it ignores SIGTERM
    daemon.kill()
    daemon.wait()
    daemon.stdout.close()
    pid = first_process(tmp_path, InstanceId(directory.name))

    assert main(["reset", "--yes"]) == 0

    assert not Path(f"/proc/{pid}").exists()
    assert sorted(os.listdir(tmp_path)) == ["config.toml"]
