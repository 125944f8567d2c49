"""Volumes that the contributed plugin keeps on btrfs, for real instances."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.test_contrib_plugins import install


def _missing() -> str:
    if not shutil.which("mkfs.btrfs"):
        return "there is no mkfs.btrfs; install btrfs-progs"
    return "" if "\tbtrfs\n" in Path("/proc/filesystems").read_text() else "the kernel has no btrfs"


pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.skipif(bool(_missing()), reason=_missing())]

FILLS = """
import errno, os
print("found", sorted(os.listdir("/data")), os.stat("/data").st_uid, flush=True)
try:
    with open("/data/big", "wb", buffering=0) as file:
        while True:
            file.write(os.urandom(1 << 20))
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
os.unlink("/data/big")
open("/data/kept", "w").write("kept")
"""
HOST = '[host]\nvolume_storage = "btrfs"\n'
INSTANCE = f"""
[tenants.acme.instances.job]
command = ["python3", "-c", {json.dumps(FILLS)}]
volumes = ["data:/data"]
restart = "no"
"""


@pytest.fixture
def daemon(
    kwhostd: StartDaemon, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Daemon]:
    """With the instance, and a btrfs of its own for its volumes."""
    install(tmp_path, project, monkeypatch, "storage-btrfs")
    daemon = kwhostd(HOST)
    disk, volumes = tmp_path / "disk", daemon.state_dir / "volumes"
    with disk.open("wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.btrfs", "-q", disk], check=True, capture_output=True)
    volumes.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", disk, volumes], check=True)
    try:
        daemon.config.write_text(HOST + "[tenants.acme]\n")
        daemon.run("reload")
        made = daemon.run("volume", "create", "--tenant", "acme", "--size", "32M", "data")
        assert made.returncode == 0, made.stderr
        daemon.config.write_text(HOST + INSTANCE)
        daemon.run("reload")
        yield daemon
    finally:
        subprocess.run(["umount", "-l", volumes], check=True)


def test_an_instance_has_its_volume_as_large_as_it_is_and_finds_it_again(daemon: Daemon) -> None:
    eventually(lambda: daemon.run("logs", "job").stdout == "found [] 0\nENOSPC\n", "a full volume")
    daemon.wait_state("acme/job", "exited")

    daemon.run("restart", "job")

    eventually(lambda: "found ['kept'] 0" in daemon.run("logs", "job").stdout, "what was kept")


def test_a_snapshot_is_shown_to_another_instance(daemon: Daemon) -> None:
    daemon.wait_state("acme/job", "exited")
    taken = daemon.run("btrfs", "snapshot", "acme/data", "one")
    assert taken.returncode == 0, taken.stderr

    shown = daemon.run("run", "-v", f"{taken.stdout.strip()}:/old:ro", "--", "cat", "/old/kept")

    assert (shown.stdout, shown.stderr) == ("kept", "")


def test_nothing_is_left_of_a_volume_that_is_removed(daemon: Daemon) -> None:
    daemon.wait_state("acme/job", "exited")
    daemon.run("rm", "job")

    assert daemon.run("volume", "rm", "--tenant", "acme", "data").returncode == 0

    assert list((daemon.state_dir / "volumes/acme").iterdir()) == []


def test_a_reset_leaves_no_subvolume_and_no_quota_group(daemon: Daemon) -> None:
    daemon.wait_state("acme/job", "exited")

    assert daemon.run("system", "reset", "--yes").returncode == 0

    shown = subprocess.run(
        ["btrfs", "qgroup", "show", daemon.state_dir / "volumes"], check=True, capture_output=True, text=True
    )
    groups = [line.split()[0] for line in shown.stdout.splitlines() if line.startswith("0/")]
    assert groups == ["0/5"]
    assert list((daemon.state_dir / "volumes").iterdir()) == []
