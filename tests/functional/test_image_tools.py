"""An image that other programs have built, from its archive to a volume that outlives its instances."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.functional.hosting import StartDaemon

pytestmark = [
    pytest.mark.kvm,
    pytest.mark.root,
    pytest.mark.skipif(
        not (shutil.which("skopeo") and shutil.which("umoci")), reason="needs skopeo and umoci"
    ),
]


def build(directory: Path) -> Path:
    """An image of busybox, built by umoci; its archive, written by skopeo."""
    layout, archive = directory / "layout", directory / "app.tar"
    configuration = ["--config.entrypoint", "/busybox", "--config.cmd", "sh", "--config.cmd", "/app"]
    configuration += ["--config.volume", "/data", "--config.env", "GREETING=hello", "--config.user", "5:6"]
    configuration += ["--config.exposedports", "80/tcp", "--config.stopsignal", "SIGUSR1"]
    (directory / "app").write_text("echo $GREETING >>/data/f; exec /busybox sleep 1000\n")
    (directory / "data").mkdir()
    (directory / "data").chmod(0o777)
    for command in (
        ["umoci", "init", "--layout", layout],
        ["umoci", "new", "--image", f"{layout}:1"],
        ["umoci", "insert", "--image", f"{layout}:1", "/bin/busybox", "/busybox"],
        ["umoci", "insert", "--image", f"{layout}:1", directory / "app", "/app"],
        ["umoci", "insert", "--image", f"{layout}:1", directory / "data", "/data"],
        ["umoci", "config", "--image", f"{layout}:1", *configuration],
        ["skopeo", "copy", f"oci:{layout}:1", f"oci-archive:{archive}:app:1"],
    ):
        subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=60)
    return archive


def test_an_image_of_other_programs_is_run_and_its_volume_found_again(
    kwhostd: StartDaemon, tmp_path: Path
) -> None:
    daemon = kwhostd()
    loaded = daemon.run("image", "load", str(build(tmp_path)))
    assert (loaded.stdout, loaded.stderr) == ("app:1\n", "")
    layout = daemon.run("image", "load", str(tmp_path / "layout"), "--name", "app:2")
    assert (layout.stdout, layout.stderr) == ("app:2\n", "")
    daemon.run("volume", "create", "kept", "--size", "16M")

    for lines in (1, 2):
        daemon.run("run", "-d", "--name", "one", "--image", "app:1", "-v", "kept:/data")
        daemon.wait_state("one", "running")
        done = daemon.run("exec", "one", "--", "/busybox", "sh", "-c", "/busybox cat /data/f; /busybox id -u")
        assert done.stdout == "hello\n" * lines + "5\n"
        daemon.run("rm", "-f", "one")
