"""Networks of instances that an ordinary user's daemon hosts (docs/networks-rootless.md)."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.hosting import eventually
from tests.functional.ordinary import (
    LOCAL4,
    OUTSIDE4,
    Host,
    OrdinaryDaemon,
    make_host,
    missing_ability,
    reached,
    try_places,
)

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.net]

# Answers each line, and keeps its connections.
ECHO = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
socketserver.ThreadingTCPServer(("", 80), Echo).serve_forever()
"""
CONFIGURATION = f"""
[tenants.acme.network]
egress = [{{ to = "8.8.8.8", ports = [90] }}]
[tenants.acme.instances.web]
network = "tenant"
command = ["python3", "-c", {json.dumps(ECHO)}]
ports = ["8080:80"]
"""


@pytest.fixture
def host() -> Iterator[Host]:
    if reason := missing_ability():
        pytest.skip(reason)
    with make_host() as made:
        yield made


@pytest.fixture
def daemon(host: Host) -> Iterator[OrdinaryDaemon]:
    made = OrdinaryDaemon(host, CONFIGURATION)
    try:
        made.start()
        made.wait_state("acme/web", "running")
        yield made
    finally:
        made.close()


def answers(host: Host) -> bool:
    return host.answer("127.0.0.1:8080", 1) == "?"  # asked again and again


def test_an_instance_is_published_and_calls_what_its_tenant_may(host: Host, daemon: OrdinaryDaemon) -> None:
    places = [f"{OUTSIDE4}:90", f"{OUTSIDE4}:91", f"{LOCAL4}:90"]
    host.serve(*places, outside=True)
    eventually(lambda: answers(host), "an answer")

    done = daemon.run("exec", "acme/web", *try_places(places))

    assert reached(done.stdout) == {places[0]: True, places[1]: False, places[2]: False}


def test_a_lost_network_is_driven_again(host: Host, daemon: OrdinaryDaemon) -> None:
    eventually(lambda: answers(host), "an answer")
    (first,) = host.pastas()

    os.kill(first, signal.SIGKILL)

    eventually(lambda: host.pastas() not in ([], [first]) and answers(host), "another answer")
    assert len(host.pastas()) == 1
    assert "it is started again" in daemon.said


def test_a_killed_daemon_breaks_no_connection(host: Host, daemon: OrdinaryDaemon) -> None:
    eventually(lambda: answers(host), "an answer")
    with host.connection("127.0.0.1:8080") as talk:
        assert talk("before") == "before"
        daemon.kill()
        assert talk("meanwhile") == "meanwhile"
        daemon.start()
        daemon.wait_state("acme/web", "running")
        assert talk("after") == "after"
    assert len(host.pastas()) == 1


def test_the_next_daemon_drives_what_was_lost_meanwhile(host: Host, daemon: OrdinaryDaemon) -> None:
    eventually(lambda: answers(host), "an answer")
    daemon.kill()
    for pid in host.pastas():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not answers(host), "the loss")

    daemon.start()

    eventually(lambda: answers(host), "another answer")


def test_nothing_is_left_when_the_daemon_and_the_supervisor_are_killed_at_once(
    host: Host, daemon: OrdinaryDaemon
) -> None:
    eventually(lambda: answers(host), "an answer")
    assert daemon.process
    both = [daemon.process.pid, *supervisors(daemon.process.pid)]
    assert len(both) == 2
    for pid in both:  # neither sees the other's end
        os.kill(pid, signal.SIGSTOP)

    for pid in both:
        os.kill(pid, signal.SIGKILL)

    host.wait_clean()
    daemon.process.wait()
    daemon.start()
    assert daemon.run("start", "acme/web").returncode == 0
    eventually(lambda: answers(host), "an answer of a later run")
    assert len(host.pastas()) == 1


def supervisors(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    children = [one for thread in threads for one in (thread / "children").read_text().split()]
    return [int(one) for one in children if Path(f"/proc/{one}/comm").read_text() == "kw-supervise\n"]


def test_nothing_is_left_of_an_instance_that_ended(host: Host, daemon: OrdinaryDaemon) -> None:
    eventually(lambda: answers(host), "an answer")

    assert daemon.run("stop", "acme/web").returncode == 0

    assert host.pastas() == []
