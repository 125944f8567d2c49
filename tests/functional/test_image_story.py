"""An image that umoci has built from Debian's packages: loaded in every common form, run, looked into, and
its volume found again."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.functional.debian_image import LAYERS, PORT, build_layout
from tests.functional.hosting import Daemon, StartDaemon, eventually

pytestmark = [
    pytest.mark.kvm,
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("skopeo", "umoci", "dpkg-query", "zstd"))),
        reason="needs skopeo, umoci, dpkg and zstd",
    ),
]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_layout(tmp_path_factory.mktemp("debian"))


def _skopeo(layout: Path, target: str) -> None:
    copy = ["skopeo", "copy", "--quiet", f"oci:{layout}:1", target]
    subprocess.run(copy, check=True, capture_output=True, timeout=120)


def _oci_archive(layout: Path, archive: Path) -> Path:
    _skopeo(layout, f"oci-archive:{archive}:visits:1")
    return archive


def _compressed(layout: Path, archive: Path, *compress: str) -> Path:
    content = _oci_archive(layout, archive).read_bytes()
    archive.write_bytes(
        subprocess.run(compress, input=content, check=True, capture_output=True, timeout=120).stdout
    )
    return archive


def _docker_archive(layout: Path, archive: Path) -> Path:
    _skopeo(layout, f"docker-archive:{archive}:visits:1")
    return archive


FORMS: dict[str, Callable[[Path, Path], Path]] = {
    "layout": lambda layout, _: layout,
    "oci-archive": _oci_archive,
    "oci-archive.gz": lambda layout, archive: _compressed(layout, archive, "gzip", "-1"),
    "oci-archive.zst": lambda layout, archive: _compressed(layout, archive, "zstd", "-1"),
    "docker-archive": _docker_archive,
}


def test_it_is_one_image_in_whatever_form_it_comes(
    kwhostd: StartDaemon, layout: Path, tmp_path: Path
) -> None:
    daemon = kwhostd()

    for form, bring in FORMS.items():
        name = f"visits:{form}"
        loaded = daemon.run("image", "load", str(bring(layout, tmp_path / form)), "--name", name)
        assert (loaded.stdout, loaded.stderr) == (f"{name}\n", "")

    names = [f"visits:{form}" for form in FORMS]
    found = json.loads(daemon.run("image", "inspect", *names).stdout)
    assert [image["name"] for image in found] == names
    assert len({json.dumps([image["settings"], image["size"]], sort_keys=True) for image in found}) == 1
    # A docker-archive has the layers without compression, which is other content.
    assert len({tuple(image["layers"]) for image in found}) == 2
    assert {len(image["layers"]) for image in found} == {LAYERS}


def visit(daemon: Daemon, instance: str) -> str:
    """What the image's program says to a visitor from inside of its instance."""
    program = (
        f"import socket; print(socket.create_connection(('127.0.0.1', {PORT})).makefile().read(), end='')"
    )
    done = daemon.run("exec", instance, "--", "python3", "-c", program)
    return str(done.stdout or done.stderr)


def start(daemon: Daemon, instance: str) -> None:
    """Run it with the volume, until its program can be visited."""
    started = daemon.run("run", "-d", "--name", instance, "--image", "visits:1", "-v", "kept:/var/lib/visits")
    assert started.stderr == ""
    listens = ["exec", instance, "--", "grep", "-q", f":{PORT:04X} ", "/proc/net/tcp"]
    eventually(lambda: daemon.run(*listens).returncode == 0, "its program's start")


def test_it_is_loaded_run_looked_into_and_its_volume_found_again(
    kwhostd: StartDaemon, layout: Path, tmp_path: Path
) -> None:
    daemon = kwhostd()
    daemon.run("image", "load", str(_oci_archive(layout, tmp_path / "visits.tar")))
    (image,) = json.loads(daemon.run("image", "inspect", "visits:1").stdout)
    assert image["settings"]["ports"] == [f"{PORT}/tcp"]
    daemon.run("volume", "create", "kept", "--size", "16M")

    start(daemon, "first")
    assert visit(daemon, "first") == "welcome, visitor 1\n"
    assert visit(daemon, "first") == "welcome, visitor 2\n"
    inside = daemon.run("exec", "first", "--", "sh", "-c", "id -un; stat -c %U:%G:%s /var/lib/visits/visits")
    assert inside.stdout == "app\napp:app:2\n"
    stopped = daemon.run("stop", "first")
    assert stopped.stderr == ""
    assert daemon.run("rm", "first").returncode == 0

    start(daemon, "second")
    assert visit(daemon, "second") == "welcome, visitor 3\n"
    assert daemon.run("volume", "rm", "kept").returncode != 0
    daemon.run("rm", "-f", "second")
    assert daemon.run("volume", "rm", "kept").stdout == "kept\n"
