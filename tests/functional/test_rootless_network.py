"""Networks of an ordinary user's instances, by pasta (docs/networks-rootless.md)."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.hosting import eventually
from tests.functional.ordinary import (
    HOST4,
    HOST6,
    LOCAL4,
    OUTSIDE4,
    OUTSIDE6,
    Host,
    make_host,
    missing_ability,
    reached,
    try_places,
)

pytestmark = [pytest.mark.kvm, pytest.mark.root, pytest.mark.net]

GREETER = """
import socket, sys
listener = socket.create_server(("", 80))
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    connection.recv(99)
    connection.sendall(b"hello")
    connection.close()
"""
SERVE = ("python3", "-c", GREETER)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    if reason := missing_ability():
        pytest.skip(reason)
    for name in ("home", "state", "run"):
        (tmp_path / name).mkdir()
    with make_host() as made:
        yield made


def await_ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout
    assert process.stdout.readline() == "ready\n"


def test_public_addresses_are_reached_and_no_others(host: Host) -> None:
    outside = [f"{OUTSIDE4}:90", f"{OUTSIDE6}:90"]
    refused = [f"{LOCAL4}:90", "127.0.0.1:91", "::1:91", f"{HOST4}:92", f"{HOST6}:92"]
    host.serve(*outside, f"{LOCAL4}:90", outside=True)
    host.serve("127.0.0.1:91", "::1:91", f"{HOST4}:92", f"{HOST6}:92")

    done = host.run("run", "--network", "tenant", "--", *try_places([*outside, *refused, "10.0.2.2:91"]))

    assert done.stderr == ""
    assert reached(done.stdout) == {
        **dict.fromkeys(outside, True),
        **dict.fromkeys([*refused, "10.0.2.2:91"], False),
    }


def test_without_asking_there_is_no_network(host: Host) -> None:
    host.serve(f"{OUTSIDE4}:90", outside=True)

    done = host.run("run", "--", *try_places([f"{OUTSIDE4}:90"]))

    assert reached(done.stdout) == {f"{OUTSIDE4}:90": False}
    assert host.pastas() == []


def test_a_published_port_leads_to_the_instance_from_loopback_alone(host: Host) -> None:
    process = host.start("run", "--network", "tenant", "-p", "8080:80", "--", *SERVE)
    await_ready(process)

    assert host.answer("127.0.0.1:8080") == "hello"
    assert host.answer(f"{HOST4}:8080") == ""


def test_a_port_is_published_where_it_is_asked_for(host: Host) -> None:
    process = host.start(
        "run", "--network", "tenant", "-p", f"{HOST4}:8080:80", "-p", "8081:80", "--", *SERVE
    )
    await_ready(process)

    # Of 2023's pasta, what is sent while it still connects may wait: see docs/networks-rootless.md.
    eventually(lambda: host.answer(f"{HOST4}:8080", 1) == "hello", "an answer")
    assert host.answer("127.0.0.1:8081") == "hello"
    assert host.answer("127.0.0.1:8080") == ""


def test_nothing_starts_where_a_port_is_taken(host: Host) -> None:
    host.serve("127.0.0.1:8080")

    done = host.run("run", "--network", "tenant", "-p", "8080:80", "--", "echo", "started")

    assert (done.returncode, done.stdout) == (125, "")
    assert "127.0.0.1:8080" in done.stderr
    assert "in use" in done.stderr
    host.wait_clean()


def test_a_port_needs_a_network(host: Host) -> None:
    done = host.run("run", "-p", "8080:80", "--", "true")

    assert (done.returncode, done.stderr) == (
        125,
        "kwhost: publishing ports needs a network: --network tenant\n",
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_command_is_ended(host: Host, number: signal.Signals) -> None:
    process = host.start("run", "--network", "tenant", "-p", "8080:80", "--", *SERVE)
    await_ready(process)
    assert len(host.pastas()) == 1

    process.send_signal(number)

    host.wait_clean()


def test_nothing_is_left_when_the_supervisor_is_killed(host: Host) -> None:
    process = host.start("run", "--network", "tenant", "--", *SERVE)
    await_ready(process)

    os.kill(supervisor_of(process.pid), signal.SIGKILL)

    host.wait_clean()


def test_nothing_is_left_when_the_command_and_the_supervisor_are_killed_at_once(host: Host) -> None:
    process = host.start("run", "--network", "tenant", "-p", "8080:80", "--", *SERVE)
    await_ready(process)
    both = [process.pid, supervisor_of(process.pid)]
    for pid in both:  # neither sees the other's end
        os.kill(pid, signal.SIGSTOP)

    for pid in both:
        os.kill(pid, signal.SIGKILL)

    host.wait_clean()


def supervisor_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {Path(f"/proc/{child}/comm").read_text(): int(child) for child in children}["kw-supervise\n"]


def test_a_lost_network_is_told_and_the_instance_goes_on(host: Host) -> None:
    host.serve(f"{OUTSIDE4}:90", outside=True)
    script = f"""
import os, socket, time
print("ready", flush=True)
while os.path.exists("/sys/class/net/eth0"):
    time.sleep(0.01)
try:
    socket.create_connection(("{OUTSIDE4}", 90), 3)
except OSError:
    print("alone", flush=True)
time.sleep(60)
"""
    process = host.start("run", "--network", "tenant", "--", "python3", "-c", script)
    await_ready(process)
    assert process.stdout
    assert process.stderr

    for pid in host.pastas():
        os.kill(pid, signal.SIGKILL)

    assert process.stderr.readline() == (
        "kwhost: the process that drove its network has ended (pasta): "
        "nothing reaches it any more, nor it anything\n"
    )
    assert process.stdout.readline() == "alone\n"


def test_without_pasta_there_is_loopback_and_a_line(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", without_pasta(tmp_path))

    done = host.run("run", "--network", "tenant", "--", "ls", "/sys/class/net")

    assert (done.returncode, done.stdout) == (0, "lo\n")
    assert done.stderr == (
        "kwhost: it has no network but its own loopback: there is no pasta here: "
        "install it (Debian: apt-get install passt)\n"
    )


def without_pasta(directory: Path) -> str:
    """A PATH with what a host of tests needs alone."""
    for name in ("nsenter", "unshare"):
        (directory / name).symlink_to(f"/usr/bin/{name}")
    return str(directory)


def test_without_pasta_no_port_can_be_published(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", without_pasta(tmp_path))

    done = host.run("run", "--network", "tenant", "-p", "8080:80", "--", "true")

    assert done.returncode == 125
    assert done.stderr.startswith("kwhost: cannot publish ports: there is no pasta here")


def test_a_closed_tun_device_is_told_and_keeps_nobody_waiting(host: Host) -> None:
    subprocess.run(host.as_root("chmod", "000", "/dev/net/tun"), check=True)

    done = host.run("run", "--network", "tenant", "--", "ls", "/sys/class/net")

    assert (done.returncode, done.stdout) == (0, "lo\n")
    assert "no network but its own loopback: /dev/net/tun cannot be opened" in done.stderr
    assert done.stderr.count("\n") == 1
    assert host.pastas() == []


def test_doctor_tells_what_networks_need(host: Host) -> None:
    assert "ok  network: by pasta" in host.run("doctor").stdout

    subprocess.run(host.as_root("chmod", "000", "/dev/net/tun"), check=True)

    said = host.run("doctor").stdout
    assert "weaker  network: an instance's own loopback only\n" in said
    assert "-> /dev/net/tun cannot be opened" in said


def test_what_pasta_has_against_it_is_told(host: Host) -> None:
    """Such as a host that has no way out itself."""
    subprocess.run(host.as_root("ip", "link", "del", "ext"), check=True)

    done = host.run("run", "--network", "tenant", "--", "echo", "started")

    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("kwhost: pasta did not start: ")
    host.wait_clean()
