"""The contributed plugins that have a say in policies, in a real daemon with real programs."""

import json
import os
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.functional.daemon_requests import act, create, kinds_of, log_of, wait_log
from tests.functional.hosting import Daemon, StartDaemon, eventually

pytestmark = [pytest.mark.kvm, pytest.mark.root]

# Says what it can do, listens, and says it again whenever that changes.
SERVER = """
import errno, os, socket, subprocess, time

def outcome(what):
    try:
        what()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"

def abilities():
    return " ".join((
        outcome(lambda: subprocess.run(["/bin/true"])),
        outcome(lambda: socket.create_server(("127.0.0.1", 9000)).close()),
        outcome(lambda: open("/tmp/file", "w").close()),
        outcome(lambda: open("/tmp/kept/file", "w").close()),
        outcome(lambda: open("/etc/hostname").close()),
    ))

os.makedirs("/tmp/kept", exist_ok=True)
said = abilities()
print(said, flush=True)
server = socket.create_server(("127.0.0.1", 8080))
server.settimeout(0.02)
while True:
    try:
        server.accept()[0].close()
    except TimeoutError:
        pass
    if abilities() != said:
        said = abilities()
        print(said, flush=True)
"""
OPEN = "ok ok ok ok ok"
SEALED = "EPERM EPERM EACCES ok ok"
CHECK = {"kind": "tcp", "target": [":8080"], "interval": 0.1}


def install(directory: Path, project: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have the daemon find these packages as if pip had installed them."""
    path = [str(directory)]
    for name in names:
        package = project / "plugins-contrib" / f"kwhost-{name}"
        entries = tomllib.loads((package / "pyproject.toml").read_text())["project"]["entry-points"]["kwhost"]
        information = directory / f"kwhost_{name}-0.1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kwhost-{name}\nVersion: 0.1.0\n")
        lines = [f"{entry} = {value}" for entry, value in entries.items()]
        (information / "entry_points.txt").write_text("\n".join(["[kwhost]", *lines, ""]))
        path.append(str(package / "src"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))


@pytest.fixture
def sealing(kwhostd: StartDaemon, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    install(tmp_path, project, monkeypatch, "seal")
    return kwhostd('[[plugins.seal.rules]]\ninstances = ["web"]\nwritable = ["/tmp/kept/**"]\n')


def test_a_healthy_server_can_serve_and_no_more(sealing: Daemon) -> None:
    create(sealing, "web", "python3", "-c", SERVER, healthcheck=CHECK)

    assert wait_log(sealing, "web", 2) == [OPEN, SEALED]
    assert sealing.instance("web")["health"] == "healthy"


def test_a_new_daemon_leaves_it_sealed_and_a_restart_opens_it(sealing: Daemon) -> None:
    create(sealing, "web", "python3", "-c", SERVER, healthcheck=CHECK)
    wait_log(sealing, "web", 2)

    sealing.kill()
    sealing.start()
    eventually(lambda: kinds_of(sealing, "web").count("healthy") == 2, "healthy again")
    assert log_of(sealing, "web") == [OPEN, SEALED]

    act(sealing, "restart", "web")
    assert wait_log(sealing, "web", 4) == [OPEN, SEALED, OPEN, SEALED]


def test_others_are_not_sealed(sealing: Daemon) -> None:
    create(sealing, "other", "python3", "-c", SERVER, healthcheck=CHECK)
    create(sealing, "web", "python3", "-c", SERVER, healthcheck=CHECK)
    wait_log(sealing, "web", 2)

    assert wait_log(sealing, "other", 1) == [OPEN]


def test_a_check_by_one_program_goes_on_and_a_shell_starts_nothing(sealing: Daemon) -> None:
    check = {"kind": "command", "target": ["true"], "interval": 0.1}
    create(sealing, "web", "sleep", "1000", healthcheck=check)
    eventually(lambda: "sealed default/web" in sealing.said, "the seal")

    assert sealing.run("exec", "web", "true").returncode == 0
    assert sealing.run("exec", "web", "sh", "-c", "/bin/true; echo $?").stdout == "126\n"
    assert sealing.instance("web")["health"] == "healthy"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_refused_calls_are_in_the_log_and_the_log_can_be_verified(
    kwhostd: StartDaemon, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, project, monkeypatch, "audit")
    log = tmp_path / "audit.jsonl"
    daemon = kwhostd(
        f'[plugins.audit]\npath = "{log}"\n'
        '[policies.careful]\nbase = "default"\nfiles = [{ path = "/tmp/**", access = "r" }]\n'
    )
    create(daemon, "one", "sh", "-c", 'mkdir "/tmp/a\\"b"', policy="careful")

    def told() -> dict[str, Any] | None:
        return next((line for line in lines_of(log) if line["call"]["name"] == "mkdir"), None)

    line = eventually(told, "a line of the log")
    assert (line["kind"], line["tenant"], line["name"]) == ("denied", "default", "one")
    assert (line["call"]["object"], line["error"]) == ('/tmp/a"b', "EACCES")
    assert (line["rule"]["layer"], line["rule"]["policy"]) == ("instance", "careful")
    done = daemon.run("audit-verify", str(log))
    assert done.returncode == 0
    assert done.stdout.startswith("unbroken: lines 1 to ")


# Says what becomes of a connection to each of its own ports, where nobody listens.
CALLER = """
import errno, socket, sys

for port in sys.argv[1:]:
    with socket.socket() as client:
        print(port, errno.errorcode[client.connect_ex(("127.0.0.1", int(port)))], flush=True)
"""


@contextmanager
def webhook(asked: list[dict[str, Any]], allowed: str) -> Iterator[int]:
    """Allows what is about this object alone; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"allow": asked[-1]["call"]["object"] == allowed}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of what requests to a webhook are signed with."""
    path = tmp_path / "secret"
    path.write_text("0123456789abcdef")
    path.chmod(0o600)
    return path


def test_the_webhook_decides_on_each_connection(
    kwhostd: StartDaemon, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, secret: Path
) -> None:
    install(tmp_path, project, monkeypatch, "approve")
    asked: list[dict[str, Any]] = []
    with webhook(asked, "127.0.0.1:7001/tcp") as port:
        daemon = kwhostd(
            f'[plugins.approve]\nurl = "http://127.0.0.1:{port}/"\nsecret_file = "{secret}"\n'
            '[policies.asking]\nbase = "default"\n'
            'network = [{ to = "any", action = "allow" }, { to = "127.0.0.1", action = "ask" }]\n'
        )
        create(daemon, "one", "python3", "-c", CALLER, "7001", "7002", policy="asking")

        assert wait_log(daemon, "one", 2) == ["7001 ECONNREFUSED", "7002 EPERM"]
    assert [question["name"] for question in asked] == ["one", "one"]


def test_without_a_webhook_connections_are_refused(
    kwhostd: StartDaemon, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, secret: Path
) -> None:
    install(tmp_path, project, monkeypatch, "approve")
    daemon = kwhostd(
        f'[plugins.approve]\nurl = "http://127.0.0.1:1/"\nsecret_file = "{secret}"\ntimeout = "200ms"\n'
        '[policies.asking]\nbase = "default"\nnetwork = [{ to = "any", action = "ask" }]\n'
    )
    create(daemon, "one", "python3", "-c", CALLER, "7001", policy="asking")

    assert wait_log(daemon, "one", 1) == ["7001 EPERM"]
