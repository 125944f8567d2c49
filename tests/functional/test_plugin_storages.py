"""Volumes that a plugin keeps, for real instances."""

from pathlib import Path

import pytest

from tests.functional.hosting import StartDaemon, eventually

pytestmark = [pytest.mark.kvm, pytest.mark.root]

PLUGIN = """
from kwhost.hookspecs import StorageOffer, hookimpl

class Directories:
    def make(self, place, size):
        (place / "files").mkdir(mode=0o755)

    def show(self, place, mount_point):
        return place / "files"

    def hide(self, mount_point): ...

    def count_used(self, files):
        return 7

    def is_busy(self, place):
        return False

    def remove(self, place):
        raise RuntimeError("never")

@hookimpl
def storages():
    return [StorageOffer(name="plain", summary="directories", backing=Directories())]
"""
INSTANCE = """
[tenants.acme.instances.job]
command = ["sh", "-c", "cat /data/f; echo more >>/data/f; echo done"]
volumes = ["data:/data"]
restart = "no"
"""


def configuration(directory: Path, storage: str = "plain") -> str:
    plugin = directory / "plain.py"
    plugin.write_text(PLUGIN)
    return f'[host]\nplugins = ["{plugin}"]\nvolume_storage = "{storage}"\n{INSTANCE}'


def test_an_instance_finds_its_files_in_a_plugins_volume_again(kwhostd: StartDaemon, tmp_path: Path) -> None:
    daemon = kwhostd(configuration(tmp_path))
    daemon.wait_state("acme/job", "exited")
    daemon.run("restart", "job")

    eventually(lambda: "more\ndone" in daemon.run("logs", "job").stdout, "what the first run wrote")
    volume = daemon.client.request("GET", "/v1/volumes/data", {"tenant": "acme"})
    assert (volume["kind"], volume["size"], volume["used"]) == ("plain", None, 7)


def test_a_fault_of_a_storages_plugin_is_one_line(kwhostd: StartDaemon, tmp_path: Path) -> None:
    daemon = kwhostd(configuration(tmp_path))
    daemon.wait_state("acme/job", "exited")
    daemon.run("rm", "job")

    done = daemon.run("volume", "rm", "--tenant", "acme", "data")

    assert (done.returncode, done.stderr) == (125, "kwhost: the plugin plain failed: RuntimeError: never\n")


def test_a_storage_that_there_is_not_is_told_at_the_start(kwhostd: StartDaemon, tmp_path: Path) -> None:
    daemon = kwhostd()
    daemon.run("down")
    daemon.config.write_text(configuration(tmp_path, "zfs"))

    assert (
        "volume_storage is 'zfs', and there is no such storage" in daemon.run("up", str(daemon.config)).stderr
    )
