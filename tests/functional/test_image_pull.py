"""Images from a registry that misbehaves; test_image_registry.py has a real one."""

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.errors import HostError, ImageError
from kwhost.core.images.credentials import Credentials, find_credentials, keep_credentials
from kwhost.core.images.names import parse_name
from kwhost.core.images.pulling import alone_in, pull
from kwhost.core.images.registry import Registry
from tests.conftest import RunKwhost
from tests.functional.image_parts import digest, image_config
from tests.unit.tar_parts import Archive

LAYER = Archive().add("f", b"content").data
SECRET = Credentials("alice", "secret")


class FakeRegistry:
    """Answers by `answer(path, headers)` with a status, headers and a body; `asked` is what came."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.documents: dict[str, bytes] = {}
        self.answer: Callable[[str, dict[str, str]], tuple[int, dict[str, str], bytes] | None] = (
            lambda _path, _headers: None
        )
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = dict(self.headers)
                outer.asked.append((self.path, headers))
                found = outer.answer(self.path, headers)
                if found is None:
                    body = outer.documents.get(self.path)
                    found = (404, {}, b"") if body is None else (200, {}, body)
                status, more, content = found
                self.send_response(status)
                for key, value in ({"Content-Length": str(len(content))} | more).items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, layers: list[bytes], tag: str = "1", **platforms: Any) -> dict[str, Any]:
        """Have an image; its manifest."""
        config = image_config(layers)
        kinds = [(config, "application/vnd.oci.image.config.v1+json")]
        kinds += [(layer, "application/vnd.oci.image.layer.v1.tar") for layer in layers]
        described = [
            {"mediaType": kind, "digest": digest(content), "size": len(content)} for content, kind in kinds
        ]
        manifest = {"schemaVersion": 2, "config": described[0], "layers": described[1:]}
        for content, _ in kinds:
            self.documents[f"/v2/app/blobs/{digest(content)}"] = content
        document = json.dumps(manifest).encode()
        self.documents[f"/v2/app/manifests/{tag}"] = document
        self.documents[f"/v2/app/manifests/{digest(document)}"] = document
        return manifest


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    registry = FakeRegistry()
    yield registry
    registry.server.shutdown()
    registry.server.server_close()


def fetch(fake: FakeRegistry, cache: Path, credentials: Credentials | None = None, tag: str = "1") -> Any:
    name = parse_name(f"{fake.host}/app:{tag}")
    return pull(Registry(fake.host, "app", credentials, plain=True), name, cache, lambda _line: None)


def content_range(start: int, content: bytes) -> dict[str, str]:
    return {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}


def test_all_blobs_come_and_are_what_their_names_say(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])

    pulled = fetch(fake, tmp_path)

    assert {digest(file.read_bytes()) for file in pulled.blobs.values()} == set(pulled.blobs)


@pytest.mark.parametrize("place", ["blobs", "manifests"])
def test_content_of_another_digest_is_refused(place: str, fake: FakeRegistry, tmp_path: Path) -> None:
    manifest = fake.put([LAYER])
    if place == "blobs":
        fake.documents[f"/v2/app/blobs/{digest(LAYER)}"] = LAYER[:-1] + b"x"
    else:
        index = {"manifests": [{"digest": digest(b"other"), "size": 5,
                 "platform": {"os": "linux", "architecture": "amd64"}}]}  # fmt: skip
        fake.documents[f"/v2/app/manifests/{digest(b'other')}"] = json.dumps(manifest).encode()
        fake.documents["/v2/app/manifests/1"] = json.dumps(index).encode()

    with pytest.raises(ImageError, match="another content"):
        fetch(fake, tmp_path)
    assert not (tmp_path / digest(LAYER)[7:]).exists()


def test_more_than_was_promised_is_refused(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])
    fake.documents[f"/v2/app/blobs/{digest(LAYER)}"] += b"more"

    with pytest.raises(ImageError, match="more than"):
        fetch(fake, tmp_path)


def test_of_an_index_this_machines_image_is_taken(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER], "here")
    here = fake.documents["/v2/app/manifests/here"]
    fake.put([b"other" * 1000], "there")
    there = fake.documents["/v2/app/manifests/there"]
    entries = [
        {"digest": digest(document), "size": 1, "platform": {"os": "linux", "architecture": architecture}}
        for document, architecture in ((there, "arm64"), (here, "amd64"))
    ]
    fake.documents["/v2/app/manifests/1"] = json.dumps({"manifests": entries}).encode()

    assert fetch(fake, tmp_path).manifest == here

    fake.documents["/v2/app/manifests/2"] = json.dumps({"manifests": entries[:1]}).encode()
    with pytest.raises(ImageError, match="linux/arm64"):
        fetch(fake, tmp_path, tag="2")


def test_a_broken_download_goes_on_where_it_broke_off(fake: FakeRegistry, tmp_path: Path) -> None:
    layer = Archive().add("f", os.urandom(300_000)).data
    fake.put([layer])

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        if path != f"/v2/app/blobs/{digest(layer)}":
            return None
        start = int(headers.get("Range", "bytes=0-")[6:-1])
        piece = layer[start : start + 100_000]
        length = {"Content-Length": str(len(layer) - start), "Connection": "close"}
        return (206, length | content_range(start, layer), piece) if start else (200, length, piece)

    fake.answer = answer
    pulled = fetch(fake, tmp_path)

    assert pulled.blobs[digest(layer)].read_bytes() == layer
    starts = [headers["Range"] for path, headers in fake.asked if "Range" in headers]
    assert starts == ["bytes=100000-", "bytes=200000-", "bytes=300000-"]


def test_a_part_that_was_not_asked_for_is_refused(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])
    (tmp_path / f"{digest(LAYER)[7:]}.part").write_bytes(LAYER[:1000])
    fake.answer = lambda path, _headers: (
        (206, content_range(0, LAYER), LAYER) if digest(LAYER) in path else None
    )

    with pytest.raises(ImageError, match="another part of a layer"):
        fetch(fake, tmp_path)
    fake.answer = lambda _path, _headers: None
    assert fetch(fake, tmp_path).blobs[digest(LAYER)].read_bytes() == LAYER


def test_an_end_that_is_missing_behind_all_that_was_promised_does_no_harm(
    fake: FakeRegistry, tmp_path: Path
) -> None:
    fake.put([LAYER])
    chunks = b"%x\r\n" % len(LAYER) + LAYER + b"\r\n"
    fake.answer = lambda path, _headers: (
        (200, {"Transfer-Encoding": "chunked"}, chunks) if digest(LAYER) in path else None
    )

    assert fetch(fake, tmp_path).blobs[digest(LAYER)].read_bytes() == LAYER


def test_a_connection_that_breaks_off_before_the_answer_is_made_anew(
    fake: FakeRegistry, tmp_path: Path
) -> None:
    fake.put([LAYER])
    paths = set(fake.documents)

    def answer(path: str, _headers: dict[str, str]) -> None:
        if path in paths:
            paths.remove(path)
            raise BrokenPipeError

    fake.answer = answer
    fake.server.handle_error = lambda *_: None  # type: ignore[method-assign]

    assert len(fetch(fake, tmp_path).blobs) == 2


def test_progress_is_told_in_tenths_of_all(fake: FakeRegistry, tmp_path: Path) -> None:
    layer = os.urandom(4 << 20)
    fake.put([layer])
    (tmp_path / f"{digest(layer)[7:]}.part").write_bytes(layer[: 1 << 20])
    told: list[str] = []

    name = parse_name(f"{fake.host}/app:1")
    pull(Registry(fake.host, "app", None, plain=True), name, tmp_path, told.append)

    assert told == sorted(told, key=lambda line: int(line.split()[0]))
    assert told[0] == "20 % of 4.0 MiB fetched"
    assert told[-1] == "100 % of 4.0 MiB fetched"


def test_two_pulls_take_turns(tmp_path: Path) -> None:
    told: list[str] = []
    released = threading.Event()

    def report(line: str) -> None:
        told.append(line)
        released.set()

    def second() -> None:
        with alone_in(tmp_path, report):
            told.append("second")

    thread = threading.Thread(target=second)
    with alone_in(tmp_path, told.append):
        thread.start()
        assert released.wait(30)
        told.append("first")
    thread.join(30)
    assert told == ["waiting for another pull to end", "first", "second"]


def test_what_has_come_is_kept_for_the_next_attempt(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])
    fake.answer = lambda path, _headers: (
        (200, {"Content-Length": str(len(LAYER)), "Connection": "close"}, LAYER[:1000])
        if digest(LAYER) in path
        else None
    )
    with pytest.raises(ImageError, match="broke off"):
        fetch(fake, tmp_path)

    fake.answer = lambda path, headers: (
        (206, content_range(1000, LAYER), LAYER[1000:]) if digest(LAYER) in path else None
    )
    assert fetch(fake, tmp_path).blobs[digest(LAYER)].read_bytes() == LAYER


def test_a_token_that_has_come_to_its_end_is_renewed(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])
    given: list[str] = []
    lock = threading.Lock()

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        with lock:
            if path.startswith("/token"):
                given.append(f"Bearer t{len(given)}")
                return (200, {}, json.dumps({"token": given[-1][7:]}).encode())
            if given and headers.get("Authorization") == given[-1] and path not in used:
                used.add(path)
                if "manifests" in path:
                    given.append("ended")
                return None
        return (401, {"WWW-Authenticate": f'Bearer realm="http://{fake.host}/token"'}, b"")

    used: set[str] = set()
    fake.answer = answer

    assert len(fetch(fake, tmp_path).blobs) == 2
    assert given == ["Bearer t0", "ended", "Bearer t2"]


def test_a_token_is_not_got_from_another_place_without_encryption(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])
    with_tokens(fake, realm="http://127.0.0.2:1/token")

    with pytest.raises(ImageError, match="without encryption"):
        fetch(fake, tmp_path, SECRET)


def with_tokens(fake: FakeRegistry, realm: str | None = None) -> None:
    """Have the registry want a token, for which its other half wants the secret."""

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        if path.startswith("/token"):
            right = headers.get("Authorization") == f"Basic {SECRET.basic()}"
            return (200, {}, b'{"token": "t0ken"}') if right else (401, {}, b"")
        if headers.get("Authorization") == "Bearer t0ken":
            return None
        place = realm or f"http://{fake.host}/token"
        challenge = f'Bearer realm="{place}",service="s",scope="repository:app:pull"'
        return 401, {"WWW-Authenticate": challenge}, b""

    fake.answer = answer


def test_a_token_is_got_with_the_credentials(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])
    with_tokens(fake)

    assert fetch(fake, tmp_path, SECRET).blobs
    assert "/token?service=s&scope=repository%3Aapp%3Apull" in [path for path, _ in fake.asked]

    for wrong in (None, Credentials("alice", "wrong")):
        with pytest.raises(ImageError, match="credentials"):
            fetch(fake, tmp_path / "none", wrong)


def test_credentials_do_not_follow_to_another_host(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])
    other = FakeRegistry()
    other.documents = fake.documents

    def answer(path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        if headers.get("Authorization") != f"Basic {SECRET.basic()}":
            return 401, {"WWW-Authenticate": "Basic"}, b""
        if "/blobs/" in path:
            return 307, {"Location": f"http://{other.host}{path}"}, b""
        return None

    fake.answer = answer
    try:
        assert fetch(fake, tmp_path, SECRET).blobs
    finally:
        other.server.shutdown()
        other.server.server_close()
    assert other.asked
    assert not [headers for _, headers in other.asked if "Authorization" in headers]


def test_nobody_but_the_registry_says_who_gets_credentials(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])
    other = FakeRegistry()
    challenge = f'Bearer realm="http://{fake.host}/token"'
    other.answer = lambda _path, _headers: (401, {"WWW-Authenticate": challenge}, b"")

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        return (307, {"Location": f"http://{other.host}{path}"}, b"") if "/blobs/" in path else None

    fake.answer = answer
    try:
        with pytest.raises(ImageError, match=f"{other.host}, where it leads to, wants credentials"):
            fetch(fake, tmp_path, SECRET)
    finally:
        other.server.shutdown()
        other.server.server_close()
    assert not [path for path, headers in fake.asked if "token" in path or "Authorization" in headers]


@pytest.mark.parametrize("target", ["/v2/app/manifests/1", "file:///etc/passwd", "ftp://x/", ""])
def test_redirects_in_a_circle_or_to_elsewhere_are_refused(
    target: str, fake: FakeRegistry, tmp_path: Path
) -> None:
    fake.answer = lambda _path, _headers: (302, {"Location": target}, b"")

    with pytest.raises(ImageError, match="leads"):
        fetch(fake, tmp_path)


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b"[" * 100_000, b'{"config": {}, "layers": []}'])
def test_a_manifest_that_is_none_is_refused(answer: bytes, fake: FakeRegistry, tmp_path: Path) -> None:
    fake.documents["/v2/app/manifests/1"] = answer

    with pytest.raises(ImageError, match="manifest"):
        fetch(fake, tmp_path)


def test_nothing_is_asked_without_encryption_unless_wanted(fake: FakeRegistry, tmp_path: Path) -> None:
    fake.put([LAYER])
    with pytest.raises(ImageError):
        pull(
            Registry(fake.host, "app", SECRET), parse_name(f"{fake.host}/app:1"), tmp_path, lambda _line: None
        )

    assert fake.asked == []


@pytest.mark.kvm
@pytest.mark.root
def test_an_image_that_umoci_built_is_loaded_and_run(
    tmp_path: Path, kwhost_command: list[str], run_kwhost: RunKwhost
) -> None:
    layout, bundle = tmp_path / "layout", tmp_path / "bundle"

    def umoci(*arguments: object) -> None:
        subprocess.run(["umoci", *map(str, arguments)], check=True, timeout=60, capture_output=True)

    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:1")
    umoci("unpack", "--image", f"{layout}:1", bundle)
    (bundle / "rootfs/bin").mkdir()
    (bundle / "rootfs/bin/echo").write_bytes(Path("/bin/busybox").read_bytes())
    (bundle / "rootfs/bin/echo").chmod(0o755)
    umoci("repack", "--image", f"{layout}:1", bundle)
    umoci("config", "--image", f"{layout}:1", "--config.entrypoint", "/bin/echo", "--config.cmd", "built")
    archive = tmp_path / "app.tar"
    subprocess.run(["tar", "cf", archive, "-C", layout, "."], check=True)

    load = [*kwhost_command, "image", "load", str(archive), "--name", "app:1"]
    loaded = subprocess.run(load, capture_output=True, text=True, timeout=60, check=False)

    assert (loaded.stdout, loaded.stderr) == ("app:1\n", "")
    assert run_kwhost(["--image", "app:1"]).stdout == "built\n"


def test_credentials_are_kept_for_this_user_alone(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    file = tmp_path / ".docker/config.json"
    file.parent.mkdir()
    file.write_text('{"auths": {"other": {"auth": "YTpi"}}, "HttpHeaders": {"a": "b"}}')

    keep_credentials("r:5000", SECRET, environment)

    assert find_credentials("r:5000", environment) == SECRET
    assert find_credentials("other", environment) == Credentials("a", "b")
    assert find_credentials("unknown", environment) is None
    assert json.loads(file.read_text())["HttpHeaders"] == {"a": "b"}
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", ["é", "a", "/w=="])
def test_credentials_that_make_no_sense_are_told(kept: str, tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {"r": {"auth": kept}}}))

    with pytest.raises(HostError, match=r"the credentials for r in .* make no sense"):
        find_credentials("r", {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")})
