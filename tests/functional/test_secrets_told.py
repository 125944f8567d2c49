"""Where a secret's content must not be found: in whatever kwhost tells, keeps, or has as a process."""

import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.functional.daemon_requests import answer_to, wait_log
from tests.functional.hosting import Daemon, StartDaemon, eventually

pytestmark = [pytest.mark.kvm, pytest.mark.root]

# Reads its secret, says nothing of it, and ends badly.
PROGRAM = ["sh", "-c", 'read -r it </run/secrets/key; echo "it has ${#it}"; sleep 1000']
CONFIGURATION = """
[host]
log_level = "debug"
[tenants.acme.instances.web]
command = ["sh", "-c", 'read -r it </run/secrets/key; echo "it has ${#it}"; sleep 1000']
secrets = { key = "key" }
"""


class Content:
    """One that nobody else has; looked for as it is, and as requests have it."""

    def __init__(self, name: str) -> None:
        self.text = f"{name}-{os.urandom(12).hex()}"
        whole = b64encode(f"{self.text}\n".encode())
        # What is encoded with more before it looks otherwise: each part of it that does not depend on that.
        parts = [b64encode(self.text[shift:].encode())[:24] for shift in range(3)]
        self._traces = [self.text.encode(), whole.rstrip(b"="), *parts]

    def is_in(self, data: bytes) -> bool:
        return any(trace in data for trace in self._traces)


@pytest.fixture
def contents() -> list[Content]:
    return [Content("of-the-operator"), Content("of-a-command")]


@pytest.fixture
def daemon(kwhostd: StartDaemon, contents: list[Content]) -> Daemon:
    """With two instances that have a secret each, one of which came with a command."""
    daemon = kwhostd()
    for name, content in zip(("key", "mine"), contents, strict=True):
        (daemon.directory / name).write_text(f"{content.text}\n")
    daemon.config.write_text(CONFIGURATION)
    assert daemon.run("reload").returncode == 0
    mine = ["--name", "one", "--secret", f"key={daemon.directory}/mine"]
    assert daemon.run("run", "-d", *mine, "--", *PROGRAM).returncode == 0
    for name, content in zip(("web", "one"), contents, strict=True):
        assert wait_log(daemon, name, 1) == [f"it has {len(content.text)}"]
    return daemon


def check(found: str, data: bytes, contents: list[Content]) -> None:
    assert not [content.text for content in contents if content.is_in(data)], found


def test_the_traces_are_found_where_they_are(contents: list[Content]) -> None:
    for content in contents:
        for before in ("", "a", "ab"):
            assert content.is_in(b64encode(f"{before}{content.text} and more".encode()))
        assert not content.is_in(os.urandom(4096))


def test_it_is_in_no_answer(daemon: Daemon, contents: list[Content]) -> None:
    commands: list[list[str]] = [
        ["inspect", "web", "one"],
        ["ps", "-a", "--json"],
        ["events", "--json"],
        ["logs", "web"],
        ["logs", "one"],
        ["top", "one"],
        ["stats", "--json"],
    ]
    for command in commands:
        done = daemon.run(*command, text=False)
        assert done.stdout, command
        check(" ".join(command), done.stdout + done.stderr, contents)
    for path in ("/v1/audit", "/v1/instances/one/definition", "/v1/instances/one/storage", "/v1/instances"):
        status, answer = answer_to(daemon, "GET", path)
        assert status == 200
        check(path, str(answer).encode(), contents)
    assert '"key"' in daemon.run("inspect", "web", "one").stdout  # its name is told


def test_it_is_in_no_file_of_the_daemons(daemon: Daemon, contents: list[Content]) -> None:
    daemon.run("restart", "one")
    wait_log(daemon, "one", 2)

    looked = 0
    for path in [*daemon.state_dir.rglob("*"), *daemon.run_dir.rglob("*"), daemon.directory / "said"]:
        if path.is_file():
            check(str(path), path.read_bytes(), contents)
            looked += 1
    assert looked > 5


def _processes() -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            yield process


def test_it_is_in_no_process_arguments_or_environment(daemon: Daemon, contents: list[Content]) -> None:
    looked = 0
    for process in _processes():
        for name in ("cmdline", "environ"):
            with suppress(OSError):  # it has ended
                check(f"{process}/{name}", (process / name).read_bytes(), contents)
                looked += 1
    assert looked > 10
    assert "it has" in daemon.run("logs", "one").stdout


def test_nobody_keeps_what_it_was_handed_on_by(daemon: Daemon) -> None:
    """Neither the daemon nor a process of the instances has the files open from which they got it."""

    def holders() -> list[str]:
        found = []
        for process in _processes():
            with suppress(OSError):
                links = [os.readlink(link) for link in (process / "fd").iterdir()]
                kept = f"/{daemon.instance('one')['id']}"
                found += [
                    f"{process.name} {link}"
                    for link in links
                    if "kwhost-secrets" in link or (link.startswith("/dev/shm/kwhost-") and kept in link)
                ]
        return found

    eventually(lambda: not holders(), "that nobody has them")


def test_it_is_in_no_message_about_a_start_that_failed(daemon: Daemon, contents: list[Content]) -> None:
    mine = ["--secret", f"key={daemon.directory}/mine"]

    done = daemon.run("run", "--name", "two", *mine, "-w", "/proc/nowhere", "--", "true", text=False)
    again = daemon.run("run", "--name", "one", *mine, "--debug", "--", "true", text=False)

    assert done.returncode != 0
    assert again.returncode != 0
    check("the messages", done.stdout + done.stderr + again.stdout + again.stderr, contents)
    check("the events", daemon.run("events", "--json", text=False).stdout, contents)
