"""Named volumes as users meet them: they outlive instances, are bounded, and are their tenant's alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.model.ids import DEFAULT_TENANT
from kwhost.core.storage.volume_store import VolumeStore
from tests.conftest import RunKwhost
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.image_parts import busybox_layer, docker_archive
from tests.functional.test_volume_store import KILLED_WHILE, loops, mounts

pytestmark = [pytest.mark.kvm, pytest.mark.root]

TENANTS = "[tenants.acme]\n[tenants.other]\nstorage = '64M'\n"
WRITER = "echo kept >/data/f; id -u; stat -c '%u %a' /data/f"


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Daemon:
    return kwhostd(TENANTS)


def volumes(daemon: Daemon, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(daemon.run("volume", "ls", "--json", *options).stdout)
    return found


def sh(daemon: Daemon, program: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return daemon.run("run", "--rm", *options, "--", "sh", "-c", program)


def test_a_volume_outlives_its_instances(daemon: Daemon) -> None:
    assert daemon.run("volume", "create", "data", "--size", "16M").stdout == "data\n"
    assert sh(daemon, WRITER, "-v", "data:/data").stdout == "0\n0 644\n"

    assert sh(daemon, "cat /data/f", "-v", "data:/data:ro").stdout == "kept\n"
    refused = sh(daemon, "echo x >/data/f", "-v", "data:/data:ro")
    assert "Read-only file system" in refused.stderr
    (volume,) = volumes(daemon)
    assert (volume["kind"], volume["size"], volume["instances"]) == ("ext4", 16 << 20, [])


def test_a_full_volume_is_full_for_its_users_alone(daemon: Daemon) -> None:
    daemon.run("volume", "create", "small", "--size", "16M")
    daemon.run("volume", "create", "beside", "--size", "16M")
    fill = "head -c 32M /dev/zero >/data/f; echo $?; head -c 1M /dev/zero >/beside/f; echo $?"

    done = sh(daemon, fill, "-v", "small:/data", "-v", "beside:/beside")

    assert "No space left on device" in done.stderr
    assert done.stdout == "1\n0\n"


def test_what_an_instance_names_is_made(daemon: Daemon) -> None:
    assert sh(daemon, "echo x >/data/f", "-v", "data:/data").returncode == 0

    (volume,) = volumes(daemon)
    assert (volume["name"], volume["size"]) == ("data", 1 << 30)


@pytest.mark.parametrize("target", ["/proc", "/proc/self"])
def test_a_volume_does_not_stand_in_for_what_proc_says(target: str, kwhostd: StartDaemon) -> None:
    daemon = kwhostd("[tenants.weak]\nisolation = 'process'\n")

    done = sh(daemon, "true", "--tenant", "weak", "--engine", "process", "-v", f"data:{target}")

    assert f"making the mount point {target} in the instance: not permitted" in done.stderr


def test_two_instances_share_a_volume(daemon: Daemon) -> None:
    daemon.run("volume", "create", "data", "--size", "16M")
    daemon.run("run", "-d", "--name", "one", "-v", "data:/data", "--", "sleep", "1000")

    assert sh(daemon, "echo both >/data/f", "-v", "data:/data").returncode == 0
    assert daemon.run("exec", "one", "--", "cat", "/data/f").stdout == "both\n"


def test_a_volume_that_an_instance_has_is_not_removed(daemon: Daemon) -> None:
    daemon.run("volume", "create", "data", "--size", "16M")
    daemon.run("run", "-d", "--name", "one", "-v", "data:/data", "--", "sleep", "1000")

    assert "belongs to one" in daemon.run("volume", "rm", "data").stderr
    daemon.run("stop", "one")
    assert daemon.run("volume", "prune").stdout == ""
    daemon.run("rm", "one")
    assert daemon.run("volume", "prune", "--yes").stdout == "data\n"
    assert volumes(daemon) == []


def test_volumes_are_not_pruned_unasked(daemon: Daemon) -> None:
    daemon.run("volume", "create", "data", "--size", "16M")

    assert "--yes does it without asking" in daemon.run("volume", "prune").stderr
    assert [volume["name"] for volume in volumes(daemon)] == ["data"]


def test_one_that_cannot_be_removed_keeps_no_other(daemon: Daemon) -> None:
    daemon.run("volume", "create", "data", "--size", "16M")

    done = daemon.run("volume", "rm", "nothing", "data")

    assert (done.stdout, done.returncode) == ("data\n", 125)
    assert "there is no volume nothing" in done.stderr


def test_what_is_used_is_listed_when_asked_for(daemon: Daemon) -> None:
    daemon.run("volume", "create", "data", "--size", "16M")
    sh(daemon, "head -c 4M /dev/zero >/data/f", "-v", "data:/data")

    assert volumes(daemon)[0]["used"] is None
    assert 4 << 20 < volumes(daemon, "--used")[0]["used"] < 5 << 20
    assert daemon.run("volume", "ls", "--used").stdout.split()[:5] == [
        "NAME", "TENANT", "KIND", "SIZE", "USED",
    ]  # fmt: skip


def test_files_are_copied_into_and_out_of_a_volume(daemon: Daemon) -> None:
    source, back = daemon.directory / "source", daemon.directory / "back"
    (source / "below").mkdir(parents=True)
    (source / "below/f").write_text("content")
    (daemon.directory / "large").write_bytes(bytes(32 << 20))
    daemon.run("volume", "create", "data", "--size", "16M")
    for name, volume in (("one", "data:/data"), ("reader", "data:/data:ro")):
        daemon.run("run", "-d", "--name", name, "-v", volume, "--", "sleep", "1000")

    assert daemon.run("cp", str(source), "one:/data/copy").returncode == 0
    refused = daemon.run("cp", str(source), "reader:/data/other")
    assert daemon.run("cp", "reader:/data/copy", str(back)).returncode == 0
    full = daemon.run("cp", str(daemon.directory / "large"), "one:/data/large")

    assert (back / "below/f").read_text() == "content"
    assert "is on a read-only file system of the instance" in refused.stderr
    assert "the instance's file system is full" in full.stderr
    assert daemon.run("exec", "one", "--", "ls", "/data").stdout == "copy\n"


def test_a_name_is_another_volume_for_another_tenant(daemon: Daemon) -> None:
    daemon.run("volume", "create", "data", "--size", "16M", "--tenant", "acme")
    sh(daemon, "echo secret >/data/f", "-v", "data:/data", "--tenant", "acme")
    daemon.run("volume", "create", "data", "--size", "16M", "--tenant", "other")

    assert sh(daemon, "ls /data", "-v", "data:/data", "--tenant", "other").stdout == ""
    assert volumes(daemon) == []
    assert "no volume" in daemon.run("volume", "rm", "data").stderr


def test_volumes_count_for_the_tenants_storage(daemon: Daemon) -> None:
    assert daemon.run("volume", "create", "a", "--size", "40M", "--tenant", "other").returncode == 0

    refused = daemon.run("volume", "create", "b", "--size", "40M", "--tenant", "other")
    assert "40.0 MiB of 64.0 MiB storage" in refused.stderr
    (status,) = [each for each in daemon.client.request("GET", "/v1/tenants") if each["name"] == "other"]
    assert status["used"]["storage"] == 40 << 20


def test_nothing_is_left_when_the_daemon_is_killed(daemon: Daemon) -> None:
    daemon.run("volume", "create", "data", "--size", "16M")
    daemon.run("run", "-d", "--name", "one", "-v", "data:/data", "--", "sleep", "1000")
    assert len(loops(daemon.directory)) == 1
    assert mounts(daemon.directory) == []

    daemon.kill()
    daemon.start()

    assert daemon.run("exec", "one", "--", "sh", "-c", "echo on >/data/f; cat /data/f").stdout == "on\n"
    daemon.run("rm", "-f", "one")
    eventually(lambda: not loops(daemon.directory), "no loop device")
    assert sh(daemon, "cat /data/f", "-v", "data:/data").stdout == "on\n"


def test_the_next_daemon_takes_away_what_a_killed_one_was_about_to_use(daemon: Daemon) -> None:
    daemon.run("volume", "create", "data", "--size", "16M", "--tenant", "acme")
    daemon.kill()
    command = [sys.executable, "-c", KILLED_WHILE, str(daemon.directory), "using"]
    subprocess.run(command, check=False, timeout=60, capture_output=True)
    assert len(mounts(daemon.directory)) == 1

    daemon.start()

    eventually(lambda: not mounts(daemon.directory) and not loops(daemon.directory), "nothing is mounted")
    assert sh(daemon, "cat /data/f", "--tenant", "acme", "-v", "data:/data").stdout == "kept\n"


def test_a_damaged_volume_harms_no_daemon(daemon: Daemon) -> None:
    daemon.run("volume", "create", "data", "--size", "16M", "--tenant", "acme")
    daemon.kill()
    (daemon.state_dir / "volumes/acme/data/volume.json").write_text("{")

    daemon.start()

    assert "is damaged" in daemon.run("events").stdout
    assert "is damaged" in sh(daemon, "true", "--tenant", "acme", "-v", "data:/data").stderr


IMAGE = (
    busybox_layer("stat", "rm", "head")
    .directory("etc")
    .add("etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n")
    .directory("data", uid=1000, gid=1001, mode=0o750)
    .data
)


def load(daemon: Daemon, **fields: Any) -> None:
    file = daemon.directory / "archive.tar"
    file.write_bytes(docker_archive([IMAGE], "app:1", **fields))
    assert daemon.run("image", "load", str(file)).returncode == 0


def test_a_volume_is_its_users_as_the_image_has_it(daemon: Daemon) -> None:
    load(daemon, User="app")
    daemon.run("volume", "create", "data", "--size", "16M")

    done = sh(daemon, "stat -c '%u %g %a' /data; echo x >/data/f", "--image", "app:1", "-v", "data:/data")

    assert (done.stdout, done.returncode) == ("1000 1001 750\n", 0)


def test_a_volume_that_somebody_has_had_is_not_filled(daemon: Daemon) -> None:
    """Nobody's program is to have it while root writes to it."""
    load(daemon)
    daemon.run("run", "-d", "--name", "one", "-v", "data:/etc", "--image", "app:1", "--", "sleep", "1000")
    assert daemon.run("exec", "one", "--", "rm", "/etc/passwd").returncode == 0

    done = sh(daemon, "ls /etc", "--image", "app:1", "-v", "data:/etc")
    assert (done.stdout, done.returncode) == ("", 0)


def test_a_new_volume_gets_what_the_image_has_there(daemon: Daemon) -> None:
    load(daemon, Volumes={"/etc": {}})
    program = "head -n 1 /etc/passwd; echo mine >/etc/passwd"

    assert sh(daemon, program, "--image", "app:1").stdout == "root:x:0:0::/:/bin/sh\n"
    for found in ("root:x:0:0::/:/bin/sh\n", "mine\n"):
        assert sh(daemon, program, "--image", "app:1", "-v", "data:/etc").stdout == found


def test_what_an_image_wants_kept_outlives_a_restart_and_goes_with_the_instance(daemon: Daemon) -> None:
    load(daemon, Volumes={"/data": {}}, Cmd=["sh", "-c", "echo . >>/data/f; echo . >>/f; exec sleep 1000"])
    daemon.run("run", "-d", "--name", "one", "--image", "app:1")
    daemon.run("restart", "one")

    eventually(
        lambda: daemon.run("exec", "one", "--", "cat", "/data/f", "/f").stdout == ".\n.\n.\n", "two lines"
    )
    (volume,) = volumes(daemon)
    assert (volume["instances"], volume["size"]) == (["one"], 256 << 20)
    daemon.run("rm", "-f", "one")
    assert volumes(daemon) == []


def test_a_read_only_root_has_the_images_volumes_to_write_to(daemon: Daemon) -> None:
    load(daemon, Volumes={"/data": {}})

    done = sh(daemon, "echo x >/data/f && echo x >/f", "--image", "app:1", "--read-only")

    assert done.stderr == "sh: can't create /f: Read-only file system\n"


def test_a_configured_instance_has_a_volume(daemon: Daemon) -> None:
    command = "command = ['sh', '-c', 'echo x >/data/f; exec sleep 1000']"
    table = f"[tenants.acme.instances.one]\n{command}\nvolumes = ['data:/data']\n"
    daemon.config.write_text(TENANTS + table)
    assert daemon.run("reload").returncode == 0

    daemon.wait_state("acme/one", "running")
    (volume,) = volumes(daemon, "--tenant", "acme")
    assert (volume["name"], volume["instances"]) == ("data", ["one"])


def test_without_a_daemon_too(run_kwhost: RunKwhost, kwhost_command: list[str], tmp_path: Path) -> None:
    def volume(*arguments: str) -> str:
        command = [*kwhost_command, "volume", *arguments]
        return subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout

    volume("create", "data", "--size", "16M")
    assert run_kwhost(["-v", "data:/data", "--", "sh", "-c", "echo kept >/data/f"]).returncode == 0
    assert run_kwhost(["-v", "data:/data", "--", "cat", "/data/f"]).stdout == "kept\n"
    (found,) = json.loads(volume("inspect", "data"))
    assert 0 < found["used"] < 16 << 20
    volume("rm", "data")
    assert json.loads(volume("ls", "--json")) == []
    assert mounts(tmp_path) == loops(tmp_path) == []


def test_one_that_a_run_without_a_daemon_has_is_not_removed(
    kwhost_command: list[str], tmp_path: Path
) -> None:
    """Of a directory no mount or loop device tells."""
    VolumeStore(tmp_path / "state", tmp_path / "run", usual="directory").create(DEFAULT_TENANT, "data")
    has_it = tmp_path / "state/volumes/default/data/data/f"
    command = [*kwhost_command, "run", "-i", "-v", "data:/data", "--", "sh", "-c", "echo >/data/f; read end"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as running:
        eventually(has_it.exists, "the program")

        refused = subprocess.run(
            [*kwhost_command, "volume", "rm", "data"],
            check=False,
            timeout=60,
            capture_output=True,
            text=True,
        )

        running.communicate(b"end\n", timeout=60)
    assert refused.stderr == "kwhost: the volume data is in use\n"
    assert has_it.exists()
