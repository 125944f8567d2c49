"""`kwhost system reset` after a daemon was killed: nothing of its instances stays."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kwhost.core.abi.messages import MESSAGE_SIZE, Event, hello
from kwhost.core.cli.system import main
from kwhost.core.config.host import load_host_config
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.storage.directory import DirectoryBacking
from kwhost.core.storage.kinds import StorageKind
from kwhost.core.storage.volume_store import VolumeStore
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


RECORDS = """
from pathlib import Path
from kwhost.hookspecs import StorageOffer, hookimpl
from kwhost.core.storage.directory import DirectoryBacking

class Recording(DirectoryBacking):
    def remove(self, place):
        (Path(__file__).parent / "removed").write_text((place / "data/f").read_text())

@hookimpl
def storages():
    return [StorageOffer(name="recording", summary="directories", backing=Recording())]
"""


def make_volume(tmp_path: Path, name: str, kind: str) -> None:
    kinds = {kind: StorageKind(DirectoryBacking())}
    store = VolumeStore(tmp_path / "state", tmp_path / "run", kinds, kind)
    store.create(TenantName("acme"), name)
    with store.using(TenantName("acme"), name) as files:
        (files / "f").write_text(name)


@pytest.mark.root
def test_reset_removes_volumes_as_their_storages_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recording.py").write_text(RECORDS)
    host = load_host_config()._replace(plugins=(str(tmp_path / "recording.py"),))
    monkeypatch.setattr("kwhost.core.cli.system.load_host_config", lambda: host)
    make_volume(tmp_path, "one", "recording")
    make_volume(tmp_path, "two", "gone")

    assert main(["reset", "--yes"]) == 0

    assert (tmp_path / "removed").read_text() == "one"
    assert "of a volume only its directory is removed: there is no storage 'gone'" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


@pytest.mark.root
def test_reset_leaves_what_is_mounted_for_volumes_in_its_place(tmp_path: Path) -> None:
    volumes = tmp_path / "state/volumes"
    volumes.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", volumes], check=True)
    try:
        make_volume(tmp_path, "one", "directory")

        assert main(["reset", "--yes"]) == 0

        assert os.listdir(volumes) == []
    finally:
        subprocess.run(["umount", volumes], check=True)
