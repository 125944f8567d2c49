"""Images from a real registry: Debian's docker-registry on loopback, filled by skopeo."""

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import RunKwhost
from tests.functional.hosting import StartDaemon, eventually
from tests.functional.image_parts import busybox_layer, digest, oci_archive
from tests.unit.tar_parts import Archive

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not (shutil.which("docker-registry") and shutil.which("skopeo")), reason="docker-registry and skopeo"
    ),
]

LAYER = Archive().add("f", b"content").data
LARGE = Archive().add("large", os.urandom(3_000_000)).data
# The password is "secret".
_USERS = "alice:$2b$04$RU6B0li9uG.ycwm1KcsVmujeNIAaa.lbfnr3VlUvOrGuCf00FPqHG\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Registry:
    """A registry with a directory of its own; `users`: it wants a name and a password."""

    def __init__(self, directory: Path, *, users: bool = False) -> None:
        self._directory = directory
        self._creds = ["--dest-creds", "alice:secret"] if users else []
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        directory.mkdir()
        (directory / "users").write_text(_USERS)
        kept = directory / "kept"
        lines = [
            "version: 0.1",
            "log: {level: error}",
            f"storage: {{filesystem: {{rootdirectory: {kept}}}}}",
            f"http: {{addr: '{self.host}'}}",
        ]
        if users:
            lines.append(f"auth: {{htpasswd: {{realm: test, path: {directory}/users}}}}")
        (directory / "registry.yml").write_text("\n".join(lines) + "\n")
        self._process = subprocess.Popen(
            ["docker-registry", "serve", directory / "registry.yml"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda: _answers(self.port), "the registry's start")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)

    def push(self, archive: bytes, name: str = "app:1", *options: str) -> str:
        """Have an image, brought by skopeo; its name in full."""
        file = self._directory / "archive.tar"
        file.write_bytes(archive)
        copy = [
            "skopeo",
            "copy",
            "-q",
            "--dest-tls-verify=false",
            *self._creds,
            *options,
            f"oci-archive:{file}",
        ]
        subprocess.run([*copy, f"docker://{self.host}/{name}"], check=True, timeout=60)
        return f"{self.host}/{name}"

    def blobs(self) -> list[Path]:
        """The files with the content that it has."""
        return list(self._directory.glob("kept/docker/registry/v2/blobs/sha256/*/*/data"))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    real = Registry(tmp_path / "registry")
    yield real
    real.close()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Registry]:
    real = Registry(tmp_path / "guarded", users=True)
    yield real
    real.close()


Image = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def image(kwhost_command: list[str], tmp_path: Path) -> Image:
    """Runs `kwhost image`, with a home of its own."""
    environment = os.environ | {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
    }
    environment.pop("REGISTRY_AUTH_FILE", None)

    def image(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*kwhost_command, "image", *arguments],
            capture_output=True, text=True, timeout=60, check=False, env=environment, input=typed,
        )  # fmt: skip

    return image


@pytest.mark.kvm
def test_an_image_is_pulled_and_run(registry: Registry, image: Image, run_kwhost: RunKwhost) -> None:
    name = registry.push(oci_archive([busybox_layer().data, LAYER], "app:1", Cmd=["cat", "/f"]))

    pulled = image("pull", name, "--plain-http")

    assert (pulled.stdout, pulled.stderr) == (f"{name}\n", "")
    assert run_kwhost(["--image", name]).stdout == "content"


def test_content_that_was_changed_in_the_registry_is_refused(registry: Registry, image: Image) -> None:
    name = registry.push(oci_archive([LARGE], "app:1"))
    largest = max(registry.blobs(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[-2000] ^= 1
    largest.write_bytes(content)

    pulled = image("pull", name, "--plain-http")

    assert "another content than its name says" in pulled.stderr
    assert pulled.returncode != 0
    assert image("ls", "--json").stdout.strip() == "[]"


def test_a_digest_in_the_name_is_what_comes(registry: Registry, image: Image) -> None:
    name = registry.push(oci_archive([LAYER], "app:1"))
    right = image("pull", name, "--plain-http")
    assert right.returncode == 0
    (found,) = json.loads(image("ls", "--json").stdout)

    repository = name.rpartition(":")[0]
    assert image("pull", f"{repository}@{found['digest']}", "--plain-http").returncode == 0
    missing = image("pull", f"{repository}@{digest(b'other')}", "--plain-http")
    assert "no such image" in missing.stderr


def test_an_image_that_was_pinned_by_its_index_is_found_by_that(registry: Registry, image: Image) -> None:
    name = registry.push(oci_archive([LAYER], "app:1", indexed=True), "app:1", "--all")
    inspect = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
    index = subprocess.run(inspect, capture_output=True, check=True, timeout=60).stdout
    assert b"manifests" in index
    pinned = f"{name}@{digest(index)}"

    assert image("pull", pinned, "--plain-http").stdout == f"{name}\n"

    (found,) = json.loads(image("inspect", pinned).stdout)
    assert (found["name"], found["index"]) == (name, digest(index))
    assert found["digest"] != found["index"]
    assert image("rm", pinned).stdout == f"{name}\n"


class Cutter:
    """Leads connections to a registry; the first answers that are longer than `most` it breaks off there."""

    def __init__(self, target: int, most: int, times: int) -> None:
        self._target = target
        self._most = most
        self._times = times
        self.ranges: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._lead, args=(client,), daemon=True).start()

    def _lead(self, client: socket.socket) -> None:
        """One request, and its answer until the registry's connection ends."""
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            request = client.recv(65_536)
            self.ranges += [line for line in request.split(b"\r\n") if line.startswith(b"Range: ")]
            server.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            sent = 0
            while piece := server.recv(65_536):
                if self._times and sent + len(piece) > self._most:
                    self._times -= 1
                    client.sendall(piece[: self._most - sent])
                    return
                client.sendall(piece)
                sent += len(piece)


def test_a_download_that_breaks_off_goes_on_where_it_did(registry: Registry, image: Image) -> None:
    name = registry.push(oci_archive([LARGE], "app:1"))
    cutter = Cutter(registry.port, 1_000_000, times=2)
    try:
        pulled = image("pull", name.replace(registry.host, cutter.host), "--plain-http")
    finally:
        cutter.close()

    assert pulled.returncode == 0, pulled.stderr
    first, second = (int(line.partition(b"=")[2].rstrip(b"-")) for line in cutter.ranges)
    assert 0 < first < second < len(LARGE)


def test_credentials_are_wanted_and_checked(guarded: Registry, image: Image) -> None:
    name = guarded.push(oci_archive([LAYER], "app:1"))

    for creds in ([], ["--creds", "alice:wrong"], ["--creds", "bob:secret"]):
        refused = image("pull", name, "--plain-http", *creds)
        assert refused.returncode != 0
        assert "credentials" in refused.stderr
        assert "wrong" not in refused.stderr

    assert image("pull", name, "--plain-http", "--creds", "alice:secret").stdout == f"{name}\n"


def test_a_login_is_kept_once_the_registry_takes_it(guarded: Registry, image: Image, tmp_path: Path) -> None:
    name = guarded.push(oci_archive([LAYER], "app:1"))

    assert image("login", guarded.host, "--plain-http", typed="alice\nwrong\n").returncode != 0
    assert not (tmp_path / "docker/config.json").exists()

    assert image("login", guarded.host, "--plain-http", typed="alice\nsecret\n").returncode == 0
    assert image("pull", name, "--plain-http").stdout == f"{name}\n"


def test_a_logout_forgets_it(guarded: Registry, image: Image) -> None:
    name = guarded.push(oci_archive([LAYER], "app:1"))
    image("login", guarded.host, "--plain-http", typed="alice\nsecret\n")

    assert image("logout", guarded.host).stdout.startswith(f"credentials for {guarded.host} are removed")
    assert "credentials" in image("pull", name, "--plain-http").stderr
    assert image("logout", guarded.host).stderr == f"kwhost: there are no credentials for {guarded.host}\n"


def test_without_encryption_nothing_is_pulled_unless_the_user_says_so(
    registry: Registry, image: Image
) -> None:
    name = registry.push(oci_archive([LAYER], "app:1"))

    pulled = image("pull", name)

    assert pulled.returncode != 0
    assert "it has no encryption: --plain-http, or insecure_registries" in pulled.stderr
    assert json.loads(image("ls", "--json").stdout) == []


def test_a_daemon_says_which_registries_need_no_encryption(
    registry: Registry, guarded: Registry, image: Image, kwhostd: StartDaemon
) -> None:
    daemon = kwhostd(f"[host]\ninsecure_registries = ['{registry.host}']\n")
    host = ("--host", str(daemon.socket))
    listed = registry.push(oci_archive([LAYER], "app:1"))
    other = guarded.push(oci_archive([LAYER], "app:1"))

    assert image("pull", listed, *host).stdout == f"{listed}\n"
    assert "it has no encryption" in image("pull", other, *host, "--creds", "alice:secret").stderr
    assert "it has no encryption" in image("login", guarded.host, *host, typed="alice\nsecret\n").stderr

    daemon.config.write_text(f"[host]\ninsecure_registries = ['{guarded.host}']\n")
    assert daemon.run("reload").returncode == 0
    assert image("login", guarded.host, *host, typed="alice\nsecret\n").returncode == 0
    assert image("pull", other, *host).stdout == f"{other}\n"


@pytest.mark.parametrize("name", ["app:1", "library/app", "app@" + digest(b"app")])
def test_a_name_without_a_registry_is_not_looked_for_anywhere(name: str, image: Image) -> None:
    pulled = image("pull", name)

    assert "names no registry" in pulled.stderr
