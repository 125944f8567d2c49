"""Volumes whose file system cannot map owners, here an overlayfs: their ids stay those of the tenant."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.engines.id_ranges import lease_again, lease_for_several, lease_ids
from kwhost.core.errors import HostError
from kwhost.core.model.ids import DEFAULT_UID_BASE, TenantName
from kwhost.core.storage.volume_store import VolumeStore
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.image_parts import busybox_layer, docker_archive

pytestmark = pytest.mark.root

CONFIGURATION = '[host]\nvolume_storage = "directory"\n[tenants.acme]\n[tenants.other]\n'
WRITES = "id -u; echo kept >/data/f; chown 7 /data/f; stat -c %u /data /data/f"


def mount_overlay(directory: Path, place: Path) -> None:
    for name in ("lower", "upper", "work"):
        (directory / name).mkdir()
    place.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={directory}/lower,upperdir={directory}/upper,workdir={directory}/work"
    subprocess.run(["mount", "-t", "overlay", "none", "-o", options, place], check=True)


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Iterator[Daemon]:
    daemon = kwhostd(CONFIGURATION)
    volumes = daemon.state_dir / "volumes"
    mount_overlay(daemon.directory, volumes)
    try:
        yield daemon
    finally:
        subprocess.run(["umount", "-l", volumes], check=True)


def sh(daemon: Daemon, program: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return daemon.run("run", "--rm", *options, "-v", "data:/data", "--", "sh", "-c", program)


def first_id(daemon: Daemon, tenant: str) -> int:
    (found,) = json.loads(daemon.run("volume", "inspect", "data", "--tenant", tenant).stdout)
    assert isinstance(found["first_id"], int)
    return found["first_id"]


def owner(daemon: Daemon, path: str) -> int:
    return (daemon.state_dir / "volumes" / path).stat().st_uid


@pytest.mark.kvm
def test_an_instance_owns_its_volume_and_finds_it_again(daemon: Daemon) -> None:
    assert sh(daemon, WRITES, "--tenant", "acme").stdout == "0\n0\n7\n"
    daemon.kill()
    daemon.start()

    done = sh(daemon, "cat /data/f; stat -c %u /data /data/f; echo more >>/data/f", "--tenant", "acme")

    assert (done.stdout, done.stderr) == ("kept\n0\n7\n", "")
    first = first_id(daemon, "acme")
    assert first >= DEFAULT_UID_BASE
    assert (owner(daemon, "acme/data/data"), owner(daemon, "acme/data/data/f")) == (first, first + 7)


@pytest.mark.kvm
def test_instances_of_one_tenant_share_it_and_other_tenants_have_other_ids(daemon: Daemon) -> None:
    for name in ("one", "two"):
        daemon.run("run", "-d", "--name", name, "--tenant", "acme", "-v", "data:/data", "--", "sleep", "1000")
    assert sh(daemon, "echo other >/data/f", "--tenant", "other").returncode == 0

    assert daemon.run("exec", "acme/one", "--", "sh", "-c", "echo both >/data/f").returncode == 0
    assert daemon.run("exec", "acme/two", "--", "cat", "/data/f").stdout == "both\n"
    assert first_id(daemon, "acme") != first_id(daemon, "other")


@pytest.mark.kvm
def test_what_the_image_has_there_belongs_to_the_same_users(daemon: Daemon) -> None:
    layer = busybox_layer("stat").directory("data", uid=5).add("data/f", b"given", uid=6)
    archive = daemon.directory / "archive.tar"
    archive.write_bytes(docker_archive([layer.data], "app:1"))
    assert daemon.run("image", "load", str(archive)).returncode == 0

    done = sh(daemon, "stat -c %u /data /data/f; cat /data/f", "--tenant", "acme", "--image", "app:1")

    assert done.stdout == "5\n6\ngiven"


def test_without_a_daemon_there_are_none(tmp_path: Path) -> None:
    volumes = tmp_path / "state/volumes"
    mount_overlay(tmp_path, volumes)
    try:
        store = VolumeStore(tmp_path / "state", tmp_path / "run", usual="directory")
        store.create(TenantName("acme"), "data")

        def fill(_files: Path) -> Any:
            pytest.fail("nobody gets it")

        with (
            pytest.raises(HostError, match="cannot map owners: its volumes need root's daemon"),
            store.using(TenantName("acme"), "data", fill),
        ):
            pytest.fail("nobody gets it")
    finally:
        subprocess.run(["umount", "-l", volumes], check=True)


class Ranges:
    """Those of a daemon, which chooses these."""

    def __init__(self, *chosen: int) -> None:
        self.chosen = list(chosen)
        self.held: set[int] = set()

    def choose(self) -> int:
        self.held.add(first := self.chosen.pop(0))
        return first

    def hold(self, first: int) -> None:
        self.held.add(first)


def test_a_tenants_ids_stay_its_own_when_its_last_volume_is_gone(tmp_path: Path) -> None:
    def fill(_files: Path) -> None:
        pass

    def take(ranges: Ranges, *names: str) -> list[int | None]:
        store = VolumeStore(tmp_path / "state", tmp_path / "run", usual="directory", ranges=ranges)
        assert store.hold_ids() == ()
        found = []
        for name in map(TenantName, names):
            store.create(name, "data")
            with store.using(name, "data", fill):
                found.append(store.find(name, "data").first_id)
            store.remove(name, "data")
        return found

    mount_overlay(tmp_path, tmp_path / "state/volumes")
    try:
        assert take(Ranges(65536), "acme") == [65536]
        following = Ranges(65536, 131072)  # the range was free: nobody held it

        assert take(following, "other", "acme") == [131072, 65536]
        assert following.held == {65536, 131072}
    finally:
        subprocess.run(["umount", "-l", tmp_path / "state/volumes"], check=True)


def test_no_other_instance_gets_ids_that_several_have(tmp_path: Path) -> None:
    locks, base = tmp_path / "ids.lock", 2**31 - 2 * 65536
    shared = lease_for_several(base, lock_file=locks)
    again = lease_again(shared.ids.uid_base, lock_file=locks)
    alone = lease_ids(base, lock_file=locks)

    assert shared.ids == again.ids != alone.ids
    with pytest.raises(HostError, match="another instance has them"):
        lease_again(alone.ids.uid_base, lock_file=locks)
    for lease in (shared, again, alone):
        lease.close()


ASKS = """
import fcntl, os, sys
from kwhost.core.abi.mounting import maps_owners
lock, directory = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), os.open("/", os.O_RDONLY)
fcntl.flock(lock, fcntl.LOCK_EX)
print("asks", flush=True)
while True:
    maps_owners(directory)
"""


def is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_who_is_killed_while_asking_for_owners_leaves_no_lock(tmp_path: Path) -> None:
    for number in range(10):
        lock = tmp_path / str(number)
        with subprocess.Popen([sys.executable, "-c", ASKS, lock], stdout=subprocess.PIPE) as asking:
            assert asking.stdout
            assert asking.stdout.readline() == b"asks\n"
            asking.kill()
        eventually(partial(is_free, lock), "the lock of who was killed")
