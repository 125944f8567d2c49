"""Instances of images: what the image says counts, and its layers are shared and never changed."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunKwhost
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.image_parts import busybox_layer, docker_archive, oci_archive
from tests.unit.tar_parts import Archive

pytestmark = [pytest.mark.kvm, pytest.mark.root]

BASE = (
    busybox_layer("env", "stat", "mkdir", "pwd")
    .directory("etc")
    .add("etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n")
    .add("etc/group", b"root:x:0:\napp:x:1001:\n")
    .add("etc/old", b"old\n")
    .directory("data")
    .add("data/below", b"below\n", uid=1000, gid=1001, mode=0o600)
    .directory("home/app", uid=1000, gid=1001)
    .data
)
TOP = Archive().add("etc/.wh.old").add("data/.wh..wh..opq").add("data/above", b"above\n", uid=1000).data
USERS = Archive().add("etc/group", b"root:x:0:\napp:x:1001:\nmore:x:2001:app\nextra:x:2002:\n").data


@pytest.fixture
def load(kwhost_command: list[str], tmp_path: Path) -> Any:
    """Loads an archive without a daemon."""

    def load(archive: bytes) -> str:
        file = tmp_path / "archive.tar"
        file.write_bytes(archive)
        done = subprocess.run(
            [*kwhost_command, "image", "load", file], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return load


def test_an_image_may_have_a_layer_twice(load: Any, run_kwhost: RunKwhost) -> None:
    one, two = Archive().add("f", b"one").add(".wh.g").data, Archive().add("f", b"two").add("g").data
    load(docker_archive([BASE, one, two, one], "app:1"))

    done = run_kwhost(["--image", "app:1", "--", "sh", "-c", "cat /f; ls /g"])

    assert (done.stdout, done.stderr) == ("one", "ls: /g: No such file or directory\n")


def test_what_tells_of_the_mounts_is_text(load: Any, run_kwhost: RunKwhost) -> None:
    load(docker_archive([BASE, TOP, USERS], "app:1"))

    weak = ["--engine", "process", "--isolation", "process"]
    done = run_kwhost([*weak, "--image", "app:1", "--", "cat", "/proc/mounts"])

    assert "lowerdir=0:1:2," in done.stdout


def test_an_image_may_have_as_many_layers_as_docker_takes(load: Any, run_kwhost: RunKwhost) -> None:
    layers = [Archive().add(f"n{number}", b"%d " % number).data for number in range(126)]
    load(docker_archive([BASE, *layers], "app:1"))

    done = run_kwhost(["--image", "app:1", "--", "cat", "/n0", "/n63", "/n125"])

    assert (done.stdout, done.stderr) == ("0 63 125 ", "")


def test_an_image_is_run_as_it_says(load: Any, run_kwhost: RunKwhost) -> None:
    load(
        docker_archive(
            [BASE, TOP], "app:1", Entrypoint=["/bin/sh", "-c"], Cmd=['id -u; id -g; pwd; echo "$A $HOME"'],
            Env=["A=from the image"], WorkingDir="/home/app", User="app",
        )
    )  # fmt: skip

    done = run_kwhost(["--image", "app:1"])

    assert done.stdout == "1000\n1001\n/home/app\nfrom the image /home/app\n"


def test_an_entrypoint_stays_before_another_command_unless_it_is_replaced_too(
    load: Any, run_kwhost: RunKwhost
) -> None:
    load(docker_archive([BASE], "app:1", Entrypoint=["/bin/sh", "-c", "echo $0 $1"], Cmd=["a", "b"]))

    assert run_kwhost(["--image", "app:1"]).stdout == "a b\n"
    assert run_kwhost(["--image", "app:1", "--", "c"]).stdout == "c\n"
    assert run_kwhost(["--image", "app:1", "--entrypoint", "pwd"]).stdout == "/\n"
    without = ["--image", "app:1", "--entrypoint", "", "--", "sh", "-c", "echo plain"]
    assert run_kwhost(without).stdout == "plain\n"


def test_a_user_and_a_group_are_looked_up_in_the_image(load: Any, run_kwhost: RunKwhost) -> None:
    load(docker_archive([BASE, USERS], "app:1", Cmd=["sh", "-c", "id -u; id -g; id -G"], User="app:extra"))
    load(docker_archive([BASE, USERS], "app:2", Cmd=["sh", "-c", "id -u; id -g; id -G"], User="app"))
    load(docker_archive([BASE], "app:3", Cmd=["true"], User="nobody"))

    assert run_kwhost(["--image", "app:1"]).stdout == "1000\n2002\n2002\n"
    assert run_kwhost(["--image", "app:2"]).stdout == "1000\n1001\n1001 2001\n"
    assert "nobody" in run_kwhost(["--image", "app:3"]).stderr


def test_a_working_directory_that_no_layer_has_is_made(load: Any, run_kwhost: RunKwhost) -> None:
    load(docker_archive([BASE], "app:1", Cmd=["pwd"], WorkingDir="/made/here"))

    assert run_kwhost(["--image", "app:1"]).stdout == "/made/here\n"
    assert run_kwhost(["--image", "app:1", "--read-only"]).stdout == "/made/here\n"


def test_the_images_volumes_can_be_written_where_the_root_cannot(load: Any, run_kwhost: RunKwhost) -> None:
    program = "echo kept >/data/f && cat /data/f; echo x >/f"
    load(docker_archive([BASE], "app:1", Cmd=["sh", "-c", program], Volumes={"/data": {}}))

    done = run_kwhost(["--image", "app:1", "--read-only"])

    assert done.stdout == "kept\n"
    assert "can't create /f: Read-only file system" in done.stderr


def test_the_place_of_an_images_volume_is_made_where_no_layer_has_it(
    load: Any, run_kwhost: RunKwhost
) -> None:
    program = "echo made >/data/f && cat /data/f"
    load(docker_archive([BASE], "app:1", Cmd=["sh", "-c", program], Volumes={"/data": {}}))

    assert run_kwhost(["--image", "app:1"]).stdout == "made\n"


def test_what_the_command_line_says_comes_first(load: Any, run_kwhost: RunKwhost) -> None:
    load(
        docker_archive([BASE], "app:1", Cmd=["/bin/false"], Env=["A=1", "B=2"], WorkingDir="/etc", User="app")
    )

    program = "id -u; pwd; echo $A $B"
    done = run_kwhost(["--image", "app:1", "-u", "0", "-w", "/data", "-e", "B=3", "--", "sh", "-c", program])

    assert done.stdout == "0\n/data\n1 3\n"


def test_upper_layers_hide_what_they_take_away(load: Any, run_kwhost: RunKwhost) -> None:
    load(oci_archive([BASE, TOP], "app:1"))

    done = run_kwhost(["--image", "app:1", "--", "sh", "-c", "ls /etc /data; cat /data/above"])

    assert done.stdout == "/data:\nabove\n\n/etc:\ngroup\npasswd\nabove\n"


def test_owners_are_the_images(load: Any, run_kwhost: RunKwhost) -> None:
    load(docker_archive([BASE], "app:1"))

    stat = ["--image", "app:1", "--", "stat", "-c", "%u %g %a", "/data/below", "/etc/passwd"]

    assert run_kwhost(stat).stdout == "1000 1001 600\n0 0 644\n"


def test_what_an_instance_writes_is_its_own_and_the_layers_stay(load: Any, run_kwhost: RunKwhost) -> None:
    load(docker_archive([BASE], "app:1"))

    change = "echo changed >/etc/old && mkdir /new && cat /etc/old"
    assert run_kwhost(["--image", "app:1", "--", "sh", "-c", change]).stdout == "changed\n"

    after = run_kwhost(["--image", "app:1", "--", "sh", "-c", "cat /etc/old; ls /new"])
    assert after.stdout == "old\n"
    assert after.returncode != 0


def test_a_read_only_root_cannot_be_written(load: Any, run_kwhost: RunKwhost) -> None:
    load(docker_archive([BASE], "app:1"))

    done = run_kwhost(["--image", "app:1", "--read-only", "--", "sh", "-c", "echo x >/etc/new"])

    assert "Read-only file system" in done.stderr


def test_an_image_that_is_not_there_or_says_nothing_to_run_is_an_error(
    load: Any, run_kwhost: RunKwhost
) -> None:
    load(docker_archive([BASE], "app:1"))

    assert "kwhost image ls" in run_kwhost(["--image", "missing:1"]).stderr
    assert "give a command" in run_kwhost(["--image", "app:1"]).stderr


def test_what_is_wrong_with_a_file_names_it(kwhost_command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "app.tar"
    file.write_bytes(Archive().add("f", b"no image").data)

    load = [*kwhost_command, "image", "load", str(file)]
    done = subprocess.run(load, capture_output=True, text=True, timeout=60, check=False)

    assert done.stderr.startswith(f"kwhost: {file}: the archive is none of an image")
    assert done.returncode == 125


class Hosted:
    """A daemon, and images for its tenants."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def load(self, archive: bytes, *options: str) -> None:
        file = self.daemon.directory / "archive.tar"
        file.write_bytes(archive)
        done = self.daemon.run("image", "load", str(file), *options)
        assert done.returncode == 0, done.stderr

    def run(self, *arguments: str) -> Any:
        return self.daemon.run(*arguments)


@pytest.fixture
def hosted(kwhostd: StartDaemon) -> Hosted:
    return Hosted(kwhostd("[tenants.acme]\n[tenants.other]\n"))


def test_a_tenants_image_runs_for_that_tenant_alone(hosted: Hosted) -> None:
    hosted.load(docker_archive([BASE], "app:1", Cmd=["id", "-u"], User="app"), "--tenant", "acme")

    assert hosted.run("run", "--rm", "--tenant", "acme", "--image", "app:1").stdout == "1000\n"
    assert "no image" in hosted.run("run", "--rm", "--tenant", "other", "--image", "app:1").stderr
    assert json.loads(hosted.run("image", "ls", "--json").stdout) == []
    assert "app:1" in hosted.run("image", "ls", "--tenant", "acme").stdout


def test_a_tenants_images_count_for_its_storage(kwhostd: StartDaemon) -> None:
    hosted = Hosted(kwhostd("[tenants.acme]\nstorage = '8M'\n"))
    hosted.load(docker_archive([BASE], "app:1"), "--tenant", "acme")

    (shown,) = json.loads(hosted.run("tenant", "ls", "--json").stdout)[:1]
    assert 1 << 20 < shown["used"]["storage"] < 8 << 20

    file = hosted.daemon.directory / "archive.tar"
    file.write_bytes(docker_archive([Archive().add("large", os.urandom(8 << 20)).data], "large:1"))
    refused = hosted.run("image", "load", str(file), "--tenant", "acme")
    assert refused.returncode != 0
    assert "storage" in refused.stderr
    volume = hosted.run("volume", "create", "data", "--size", "8M", "--tenant", "acme")
    assert "of 8.0 MiB storage in use" in volume.stderr


def test_nothing_is_exposed_by_this_machine_and_by_directories(hosted: Hosted) -> None:
    for root in ([], ["--image", "host"], ["--rootfs", "/srv"]):
        done = hosted.run("run", "--rm", "-P", *root, "--", "/bin/true")
        assert "image" not in done.stderr
    assert hosted.run("run", "-P", "--name", "one", "--", "/bin/true").returncode == 0
    (status,) = json.loads(hosted.run("ps", "-a", "--json").stdout)
    assert status["ports"] == []


def test_a_running_instance_keeps_its_image_and_exec_follows_it(hosted: Hosted) -> None:
    hosted.load(docker_archive([BASE], "app:1", Cmd=["sleep", "1000"], User="app", Env=["A=b"]))
    assert hosted.run("run", "-d", "--name", "one", "--image", "app:1").returncode == 0

    assert hosted.run("image", "rm", "app:1").stdout == "app:1\n"
    hosted.daemon.kill()
    hosted.daemon.start()
    hosted.load(docker_archive([TOP], "other:1"))  # which collects what nobody has

    done = hosted.run("exec", "one", "--", "sh", "-c", "id -u; echo $A; cat /etc/old")
    assert done.stdout == "1000\nb\nold\n"


COUNT = "sleep 0.2; cat /etc/version; exit 1"


def version(number: int) -> bytes:
    layer = Archive().add("etc/version", b"version %d\n" % number).data
    return docker_archive([BASE, layer], "app:1", Cmd=["sh", "-c", COUNT])


def test_a_restart_is_of_the_same_image_whatever_the_name_means(hosted: Hosted) -> None:
    hosted.load(version(1))
    hosted.run("run", "-d", "--restart", "always", "--name", "one", "--image", "app:1")

    def logged() -> list[str]:
        lines: list[str] = hosted.run("logs", "one").stdout.splitlines()
        return lines

    hosted.load(version(2))
    begun = len(logged())
    eventually(lambda: len(logged()) > begun + 1, "runs after the name has moved")
    hosted.run("image", "rm", "app:1")
    begun = len(logged())
    eventually(lambda: len(logged()) > begun + 1, "runs without a name")
    assert hosted.run("restart", "one").returncode == 0
    begun = len(logged())
    eventually(lambda: len(logged()) > begun, "a run that was asked for")

    assert set(logged()) == {"version 1"}


def test_a_configured_instance_gets_what_its_name_means_when_somebody_starts_it(kwhostd: StartDaemon) -> None:
    hosted = Hosted(kwhostd("[tenants.acme]\n"))
    hosted.load(version(1))
    hosted.daemon.config.write_text("[tenants.acme.instances.one]\nimage = 'app:1'\nrestart = 'always'\n")
    hosted.run("reload")

    def logged(text: str) -> int:
        lines: list[str] = hosted.run("logs", "one").stdout.splitlines()
        return lines.count(text)

    eventually(lambda: logged("version 1"), "the first run")
    hosted.load(version(2))
    begun = logged("version 1")
    eventually(lambda: logged("version 1") > begun + 1, "two more runs")
    assert logged("version 2") == 0

    assert hosted.run("restart", "one").returncode == 0
    eventually(lambda: logged("version 2"), "a run of the new image")


def test_a_configured_image_that_is_not_there_is_not_the_one_before(kwhostd: StartDaemon) -> None:
    hosted = Hosted(kwhostd("[tenants.acme]\n"))
    hosted.load(version(1))
    definition = "[tenants.acme.instances.one]\nrestart = 'always'\nimage = "
    hosted.daemon.config.write_text(f"{definition}'app:1'\n")
    hosted.run("reload")
    eventually(lambda: hosted.run("logs", "one").stdout, "the first run")

    hosted.daemon.config.write_text(f"{definition}'app:2'\n")
    hosted.run("reload")
    begun = hosted.run("logs", "one").stdout
    restarts = hosted.daemon.instance("one")["restarts"]
    eventually(lambda: hosted.daemon.instance("one")["restarts"] > restarts + 1, "two more attempts")

    assert hosted.run("logs", "one").stdout == begun
    hosted.load(docker_archive([BASE], "app:2", Cmd=["sh", "-c", "echo another"]))
    eventually(lambda: "another" in hosted.run("logs", "one").stdout, "the image that it is to have")


def test_whoever_removes_an_image_is_told_who_has_it_and_content_goes_with_that(hosted: Hosted) -> None:
    hosted.load(docker_archive([BASE], "app:1", Cmd=["sleep", "1000"]))
    hosted.run("run", "-d", "--name", "one", "--image", "app:1")

    removed = hosted.run("image", "rm", "app:1")

    assert removed.stdout == "app:1\n"
    assert removed.stderr.startswith("kwhost: default/one still has what was called app:1")
    layers = hosted.daemon.state_dir / "images/layers"
    assert list(layers.iterdir())
    hosted.run("rm", "-f", "one")
    eventually(lambda: not list(layers.iterdir()), "the removal of the layers")


def test_what_a_killed_daemon_had_begun_to_load_is_gone_after_the_next_start(hosted: Hosted) -> None:
    store, daemon = hosted.daemon.state_dir / "images", hosted.daemon
    file = daemon.directory / "large.tar"
    file.write_bytes(docker_archive([Archive().add("f", os.urandom(50 << 20)).data], "large:1"))
    loading = subprocess.Popen(
        daemon.command("image", "load", str(file)), env=daemon.environment, stderr=subprocess.DEVNULL
    )
    eventually(lambda: list(store.glob("ingest/*/*")), "the beginning of the load")

    daemon.kill()
    loading.wait(60)
    daemon.start()

    def content() -> list[Path]:
        return [
            path for place in ("ingest", "layers", "blobs/sha256") for path in store.joinpath(place).iterdir()
        ]

    eventually(lambda: not content(), "an empty store")
    hosted.load(docker_archive([BASE], "app:1", Cmd=["pwd"]))
    assert hosted.run("run", "--rm", "--image", "app:1").stdout == "/\n"


def test_the_images_stop_signal_and_health_check_count(hosted: Hosted) -> None:
    program = "trap 'exit 33' USR1; while :; do sleep 0.1; done"
    check = {"Test": ["CMD-SHELL", "test -e /etc/old"], "Interval": 100_000_000}
    hosted.load(
        docker_archive([BASE], "app:1", Cmd=["sh", "-c", program], StopSignal="SIGUSR1", Healthcheck=check)
    )
    hosted.run("run", "-d", "--name", "one", "--image", "app:1")

    def status() -> dict[str, Any]:
        listed: list[dict[str, Any]] = hosted.daemon.client.request("GET", "/v1/instances", {"all": True})
        return listed[0]

    eventually(lambda: status()["health"] == "healthy", "a healthy instance")
    hosted.run("stop", "one")
    assert status()["exit_code"] == 33


def test_a_configured_instance_runs_what_its_image_says(kwhostd: StartDaemon) -> None:
    daemon = kwhostd("[tenants.acme]\n")
    file = daemon.directory / "archive.tar"
    file.write_bytes(docker_archive([BASE], "app:1", Entrypoint=["sleep"], Cmd=["1000"], WorkingDir="/data"))
    assert daemon.run("image", "load", str(file)).returncode == 0
    daemon.config.write_text("[tenants.acme.instances.one]\nimage = 'app:1'\n")
    assert daemon.run("reload").returncode == 0

    def status() -> dict[str, Any]:
        listed: list[dict[str, Any]] = daemon.client.request("GET", "/v1/instances", {"all": True})
        return listed[0] if listed else {"state": "missing"}

    eventually(lambda: status()["state"] == "running", "a running instance")
    assert status()["command"] == ["sleep", "1000"]
    daemon.kill()
    daemon.start()
    assert status()["command"] == ["sleep", "1000"]


def test_a_root_file_systems_directory_is_imported(hosted: Hosted, tmp_path: Path) -> None:
    (tmp_path / "root/bin").mkdir(parents=True)
    (tmp_path / "root/bin/echo").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "root/bin/echo").chmod(0o755)

    assert hosted.run("image", "import", str(tmp_path / "root"), "mine").stdout == "mine:latest\n"
    done = hosted.run("run", "--rm", "--image", "mine", "--", "/bin/echo", "it runs")
    assert done.stdout == "it runs\n"
