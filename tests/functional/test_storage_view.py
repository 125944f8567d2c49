"""What the daemon tells of a real instance's files."""

from pathlib import Path
from typing import Any

import pytest

from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.image_parts import busybox_layer, docker_archive
from tests.unit.tar_parts import Archive

pytestmark = [pytest.mark.kvm, pytest.mark.root]

MIB = 1 << 20
CONFIGURATION = """
[tenants.acme.instances.app]
image = "app:1"
command = ["sh", "-c", "echo ready; sleep 1000"]
storage = "16M"
volumes = ["{directory}:/in:ro"]
[tenants.acme.instances.host]
command = ["true"]
restart = "no"
[tenants.beta.instances.other]
image = "app:1"
command = ["sleep", "1000"]
"""


@pytest.fixture
def daemon(kwhostd: StartDaemon, tmp_path: Path) -> Daemon:
    """With an image of two layers."""
    daemon = kwhostd()
    layers = [busybox_layer("dd").data, Archive().add("one", b"1").data]
    (tmp_path / "archive.tar").write_bytes(docker_archive(layers, "app:1"))
    loaded = daemon.run("image", "load", str(tmp_path / "archive.tar"))
    assert loaded.returncode == 0, loaded.stderr
    (tmp_path / "in").mkdir()
    daemon.config.write_text(CONFIGURATION.format(directory=tmp_path / "in"))
    assert daemon.run("reload").returncode == 0
    return daemon


def storage(daemon: Daemon, name: str) -> Any:
    return daemon.client.request("GET", f"/v1/instances/{name}/storage")


def root(daemon: Daemon) -> Any:
    """The root's mount, once there is one."""
    return eventually(lambda: storage(daemon, "app")["mounts"], "its mounts")[0]


def test_layers_and_what_is_written_above_them_are_told(daemon: Daemon) -> None:
    before = root(daemon)
    assert {key: before[key] for key in ("target", "origin", "read_only", "layers", "size")} == {
        "target": "/", "origin": "root", "read_only": False, "layers": 2, "size": 16 * MIB,
    }  # fmt: skip

    daemon.run("exec", "app", "--", "dd", "if=/dev/zero", "of=/f", "bs=1M", "count=4")

    assert 4 * MIB <= root(daemon)["used"] - before["used"] < 5 * MIB
    told = storage(daemon, "app")
    assert (told["image"], len(told["layers"])) == ("app:1", 2)
    assert [layer["packed"] > 0 for layer in told["layers"]] == [True, True]


def test_a_directory_of_the_host_is_told_without_what_the_host_has(daemon: Daemon, tmp_path: Path) -> None:
    root(daemon)

    found = next(mount for mount in storage(daemon, "app")["mounts"] if mount["target"] == "/in")

    assert (found["origin"], found["source"]) == ("directory", str(tmp_path / "in"))
    assert (found["read_only"], found["size"]) == (True, None)


def test_what_does_not_run_has_no_mounts(daemon: Daemon) -> None:
    daemon.wait_state("acme/host", "exited")

    assert storage(daemon, "host") == {
        "image": "host", "digest": "", "size": None, "layers": [], "mounts": [],
    }  # fmt: skip


def test_an_image_tells_who_has_it(daemon: Daemon) -> None:
    for name in ("acme/app", "beta/other"):
        daemon.wait_state(name, "running")

    def users(**query: Any) -> list[str]:
        (image,) = daemon.client.request("GET", "/v1/images", query)
        found = daemon.client.request("GET", f"/v1/images/{image['digest']}", query)
        instances: list[str] = found["instances"]
        assert image["instance_count"] == len(instances)
        return instances

    assert users() == ["acme/app", "beta/other"]
    assert users(tenant="beta") == ["beta/other"]
    assert daemon.client.request("GET", "/v1/images", {"all": True})[0]["instance_count"] == 2
