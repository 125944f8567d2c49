"""Calls that wait for an answer: by the operator, by what was answered before, by plugins."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.functional.hosting import Daemon, StartDaemon, eventually

pytestmark = pytest.mark.kvm

ASKING = """
[policies.asking]
base = "default"
syscalls = { ask = ["mkdir"] }
ask_timeout = "SECONDS"
"""
PLUGIN = """
from kwhost.hookspecs import hookimpl
from kwhost.core.model.decisions import Answer, Scope
from pathlib import Path

@hookimpl
def answer_question(question):
    BODY

@hookimpl
def policy_decision(decision):
    with Path("FILE").open("a") as file:
        file.write(f"{decision.kind.value} {decision.call.name} {decision.by}\\n")
"""


def configuration(script: str, *, seconds: str = "60s", host: str = "") -> str:
    quoted = script.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f"{host}{ASKING.replace('SECONDS', seconds)}\n[tenants.acme.instances.job]\n"
        f'command = ["sh", "-c", "{quoted}"]\npolicy = "asking"\n'
    )


def make(directory: str) -> str:
    return f"mkdir {directory} && echo {directory} yes || echo {directory} no"


def questions(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.client.request("GET", "/v1/questions")
    return found


def wait_question(daemon: Daemon) -> dict[str, Any]:
    found: list[dict[str, Any]] = eventually(lambda: questions(daemon), "a question")
    return found[0]


def logged(daemon: Daemon) -> list[str]:
    lines: list[str] = daemon.run("logs", "job").stdout.splitlines()
    return [line for line in lines if line.endswith((" yes", " no"))]


def events(daemon: Daemon, kind: str) -> list[dict[str, Any]]:
    found = [event.data for event in daemon.client.events("/v1/events")]
    return [event for event in found if event["kind"] == kind]


def test_the_operator_answers(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(f"{make('/tmp/a')}; {make('/tmp/b')}"))

    first = wait_question(daemon)
    assert (first["tenant"], first["name"], first["call"]["name"]) == ("acme", "job", "mkdir")
    assert first["rule"] == {"layer": "instance", "policy": "asking", "text": "ask mkdir"}
    assert "ask mkdir (instance)" in daemon.run("policy", "questions").stdout
    assert daemon.run("policy", "answer", first["id"], "allow").returncode == 0
    second = eventually(lambda: next((each for each in questions(daemon) if each["id"] != first["id"]), None))
    assert daemon.run("policy", "answer", second["id"], "refuse").returncode == 0

    daemon.wait_state("job", "exited")
    assert logged(daemon) == ["/tmp/a yes", "/tmp/b no"]
    assert [event["data"]["decision"] for event in events(daemon, "answered")] == ["allowed", "refused"]
    assert events(daemon, "answered")[0]["data"]["by"].startswith("operator ")
    audit = [entry for entry in daemon.client.request("GET", "/v1/audit") if "questions" in entry["action"]]
    assert "acme/job: mkdir" in audit[0]["target"]
    late = daemon.run("policy", "answer", first["id"], "allow")
    assert f"no question {first['id']} is open" in late.stderr


def test_without_an_answer_it_is_refused(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(make("/tmp/a"), seconds="1s"))

    daemon.wait_state("job", "exited")

    assert logged(daemon) == ["/tmp/a no"]
    (answered,) = events(daemon, "answered")
    assert answered["data"]["by"] == "nobody"


def test_an_answer_for_ever_is_given_again_until_it_is_forgotten(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(make("/tmp/a")))
    question = wait_question(daemon)
    done = daemon.run("policy", "answer", question["id"], "allow", "--scope", "forever")
    assert done.returncode == 0, done.stderr
    daemon.wait_state("job", "exited")

    daemon.kill()
    daemon.start()
    assert daemon.run("start", "job").returncode == 0
    daemon.wait_state("job", "exited")
    assert logged(daemon) == ["/tmp/a yes", "/tmp/a yes"]
    (remembered,) = daemon.client.request("GET", "/v1/answers")
    assert "forever" in daemon.run("policy", "answers").stdout

    assert daemon.run("policy", "forget", str(remembered["number"])).returncode == 0
    assert daemon.run("start", "job").returncode == 0
    wait_question(daemon)


def test_an_answer_for_the_instance_ends_with_its_run(kwhostd: StartDaemon) -> None:
    again = f"{make('/tmp/a')}; rmdir /tmp/a; {make('/tmp/a')}"
    daemon = kwhostd(configuration(again))
    question = wait_question(daemon)

    daemon.run("policy", "answer", question["id"], "allow", "--scope", "instance")

    daemon.wait_state("job", "exited")
    assert logged(daemon) == ["/tmp/a yes", "/tmp/a yes"]
    assert daemon.client.request("GET", "/v1/answers") == []


def test_questions_outlive_the_daemon(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(make("/tmp/a")))
    before = wait_question(daemon)["id"]

    daemon.kill()
    daemon.start()

    now = wait_question(daemon)["id"]
    # Whoever read the old list must not answer what has that number now.
    assert now != before
    assert f"no question {before} is open" in daemon.run("policy", "answer", before, "allow").stderr
    daemon.run("policy", "answer", now, "allow")
    daemon.wait_state("job", "exited")
    assert logged(daemon) == ["/tmp/a yes"]


@pytest.fixture
def with_plugin(kwhostd: StartDaemon, tmp_path: Path) -> Callable[[str, str], Daemon]:
    """Starts a daemon that runs a script under a plugin that answers with `body`."""

    def start(script: str, body: str) -> Daemon:
        plugin = tmp_path / "answering.py"
        plugin.write_text(PLUGIN.replace("BODY", body).replace("FILE", str(tmp_path / "decisions")))
        return kwhostd(configuration(script, host=f'[host]\nplugins = ["{plugin}"]\n'))

    return start


@pytest.mark.parametrize(
    ("body", "outcome", "said"),
    [
        ("return Answer(allow=True)", "yes", "allowed"),
        ("return Answer(allow=False)", "no", "refused"),
        ("raise ValueError('broken')", "no", "refused"),
        ("return 'yes'", "no", "refused"),
    ],
)
def test_a_plugin_answers(
    with_plugin: Callable[[str, str], Daemon], tmp_path: Path, body: str, outcome: str, said: str
) -> None:
    daemon = with_plugin(make("/tmp/a"), body)

    daemon.wait_state("job", "exited")

    assert logged(daemon) == [f"/tmp/a {outcome}"]
    assert events(daemon, "answered")[0]["data"]["by"] == "plugin answering"
    told = eventually(lambda: (tmp_path / "decisions").exists() and (tmp_path / "decisions").read_text())
    assert f"{said} mkdir plugin answering\n" in told


def test_what_a_plugin_leaves_is_for_the_operator(with_plugin: Callable[[str, str], Daemon]) -> None:
    daemon = with_plugin(make("/tmp/a"), "return None")

    daemon.run("policy", "answer", wait_question(daemon)["id"], "allow")

    daemon.wait_state("job", "exited")
    assert logged(daemon) == ["/tmp/a yes"]
