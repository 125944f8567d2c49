"""Instances without a virtual machine: the same life as any other, and told apart everywhere."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.abi.exit_record import EndReason
from kwhost.core.abi.messages import EventType
from kwhost.core.model.instance import GuestLimits
from tests.functional.daemon_requests import act, create, kinds_of, log_of, supervisor_of, wait_log
from tests.functional.hosted import HostedInstance
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.leftovers import control_groups, find_leftovers
from tests.functional.network_hosting import network_daemon
from tests.functional.ordinary import OrdinaryDaemon, make_host, missing_ability
from tests.functional.session import Session

pytestmark = pytest.mark.root

# Its tenant allows it, and asks for it by its name: KVM may be there or not.
CONFIGURATION = """
[tenants.default]
isolation = "process"
"""
PROCESS: dict[str, Any] = {"engine": "process"}
COUNT = "n=0; while :; do n=$((n + 1)); echo $n; sleep 0.02; done"
FORKS = """
import os, time
count = 0
try:
    while count < 100:
        if os.fork() == 0:
            time.sleep(1000)
        count += 1
except OSError:
    pass
print(count, flush=True)
time.sleep(1000)
"""
MIB = 1 << 20
ECHO = """
import socketserver
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
socketserver.ThreadingTCPServer(("", 80), Echo).serve_forever()
"""
ORDINARY = f"""
[tenants.acme]
isolation = "process"
network = {{}}
[tenants.acme.instances.web]
engine = "process"
command = ["python3", "-c", {json.dumps(ECHO)}]
ports = ["8080:80"]
pids = 20
"""


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Daemon:
    return kwhostd(CONFIGURATION)


def is_program(status: dict[str, int]) -> bool:
    """The instance's first process is its program, and no monitor."""
    return "monitor" not in Path(f"/proc/{status['pid']}/comm").read_text()


@pytest.mark.hw
def test_it_is_stopped_and_started_again(daemon: Daemon) -> None:
    first = create(daemon, "one", "sleep", "1000", **PROCESS)
    assert is_program(first)
    stopped = act(daemon, "stop", "one")
    second = act(daemon, "start", "one")

    assert (stopped["state"], stopped["reason"], stopped["exit_code"]) == ("exited", "stopped", 143)
    assert (second["state"], second["engine"], second["isolation"]) == ("running", "process", "process")
    assert not Path(f"/proc/{first['pid']}").exists()
    assert kinds_of(daemon, "one") == [
        "created", "starting", "started", "stopping", "exited", "starting", "started"
    ]  # fmt: skip


def test_a_program_that_does_not_end_is_killed(daemon: Daemon) -> None:
    create(daemon, "one", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done", **PROCESS)
    wait_log(daemon, "one", 1)

    assert act(daemon, "stop", "one", timeout=0.2)["exit_code"] == 137


def test_kill_restart_and_the_exit_code_are_told(daemon: Daemon) -> None:
    first = create(daemon, "one", "sh", "-c", "trap 'exit 7' USR1; echo ready; while :; do sleep 0.1; done",
                   **PROCESS)  # fmt: skip
    wait_log(daemon, "one", 1)
    again = act(daemon, "restart", "one", timeout=0)
    assert again["pid"] != first["pid"]
    wait_log(daemon, "one", 2)

    act(daemon, "kill", "one", signal=signal.SIGUSR1)

    assert act(daemon, "wait", "one")["exit_code"] == 7


def test_what_is_paused_stands_still_and_goes_on(daemon: Daemon) -> None:
    create(daemon, "one", "sh", "-c", COUNT, **PROCESS)
    create(daemon, "other", "sh", "-c", COUNT, **PROCESS)
    wait_log(daemon, "one", 3)

    assert act(daemon, "pause", "one")["state"] == "paused"
    before = log_of(daemon, "one")
    wait_log(daemon, "other", len(log_of(daemon, "other")) + 10)
    assert log_of(daemon, "one") == before

    act(daemon, "resume", "one")
    wait_log(daemon, "one", len(before) + 3)


def test_a_failing_program_is_started_again_and_told_as_a_crash_loop(daemon: Daemon) -> None:
    create(daemon, "one", "false", restart="on-failure", **PROCESS)

    eventually(lambda: "crash-loop" in kinds_of(daemon, "one"), "the crash loop")
    assert daemon.instance("one")["restarts"] >= 2


def test_a_program_that_is_not_there_is_told_as_in_shells(daemon: Daemon) -> None:
    done = daemon.run("run", "--engine", "process", "--", "no-such-program")

    assert done.returncode == 127
    assert "no-such-program" in done.stderr


# Who asks for it by hand.


def test_the_command_line_runs_it_and_gives_its_exit_status(daemon: Daemon) -> None:
    done = daemon.run("run", "--engine", "process", "--name", "one", "--", "sh", "-c", "echo out; exit 3")

    assert (done.returncode, done.stdout) == (3, "out\n")
    assert daemon.run("logs", "one").stdout == "out\n"


def test_a_shell_in_it_has_the_operators_terminal(daemon: Daemon) -> None:
    create(daemon, "one", "sleep", "1000", **PROCESS)
    command = daemon.command("exec", "-it", "-e", "PS1=ready> ", "one", "--", "bash", "--norc", "--noediting")
    session = Session(command, env=daemon.environment)
    try:
        session.wait_for("ready> ")
        session.type("tty; stty size; cat /proc/1/comm\n")
        assert "/dev/pts/" in session.wait_for("30 100")
        session.wait_for("sleep")
        session.type("exit 5\n")
        assert session.process.wait(30) == 5
    finally:
        session.close()


def test_files_go_in_and_out(daemon: Daemon, tmp_path: Path) -> None:
    create(daemon, "one", "sleep", "1000", **PROCESS)
    (tmp_path / "in").write_text("hello")

    assert daemon.run("cp", str(tmp_path / "in"), "one:/tmp/there").returncode == 0
    assert daemon.run("exec", "one", "--", "cat", "/tmp/there").stdout == "hello"
    assert daemon.run("cp", "one:/tmp/there", str(tmp_path / "out")).returncode == 0
    assert (tmp_path / "out").read_text() == "hello"


# What is told of it.


def test_every_listing_says_that_it_has_no_virtual_machine(daemon: Daemon) -> None:
    assert (
        daemon.run("run", "-d", "--name", "one", "--engine", "process", "--", "sleep", "1000").returncode == 0
    )
    (listed,) = json.loads(daemon.run("ps", "--json").stdout)

    assert (listed["engine"], listed["isolation"]) == ("process", "process")
    assert "process (no VM)" in daemon.run("ps").stdout
    assert re.search(r"one +started: process \(no VM\)", daemon.run("events").stdout)
    (inspected,) = json.loads(daemon.run("inspect", "one").stdout)
    protections = {each["name"]: each["holds"] for each in inspected["protections"]}
    assert protections["user_namespace"]
    assert protections["seccomp"]
    assert protections["broker"]


def test_what_nobody_counts_is_not_zero(daemon: Daemon) -> None:
    create(daemon, "one", "sh", "-c", "sleep 1000 & echo ready; wait", **PROCESS)
    wait_log(daemon, "one", 1)
    (used,) = json.loads(daemon.run("stats", "--json", "one").stdout)
    usage = used["usage"]

    assert (usage["calls"], usage["exits"], usage["faults"]) == (None, None, None)
    assert usage["notified"] is not None
    assert usage["memory"] > 0
    assert usage["cpu_seconds"] > 0
    assert usage["pids"] == 2
    assert "n/a" in daemon.run("stats", "one").stdout


def test_its_memory_is_the_programs_own(daemon: Daemon) -> None:
    create(daemon, "one", "sleep", "1000", **PROCESS)

    memory = daemon.client.request("GET", "/v1/instances/one/memory")

    kinds = {use["kind"] for use in memory["uses"]}
    assert {"program", "libraries", "anonymous"} <= kinds
    assert "monitor" not in kinds
    assert memory["processes"][0]["program"].endswith("/sleep")


# Limits.


@pytest.mark.hw
@pytest.mark.parametrize("pids", [1, 2, 5])
def test_it_has_exactly_as_many_processes_as_it_may(daemon: Daemon, pids: int) -> None:
    create(daemon, "one", "python3", "-c", FORKS, limits={"pids": pids}, **PROCESS)

    assert wait_log(daemon, "one", 1) == [str(pids - 1)]
    (used,) = json.loads(daemon.run("stats", "--json", "one").stdout)
    assert (used["usage"]["pids"], used["usage"]["pids_limit"]) == (pids, pids)


def test_who_reaps_is_none_of_them(daemon: Daemon) -> None:
    create(daemon, "one", "python3", "-c", FORKS, limits={"pids": 3}, init=True, **PROCESS)

    assert wait_log(daemon, "one", 1) == ["2"]


def test_an_operator_gets_into_one_that_is_full(daemon: Daemon) -> None:
    create(daemon, "one", "sleep", "1000", limits={"pids": 1}, **PROCESS)

    done = daemon.run("exec", "one", "--", "sh", "-c", "echo inside; sleep 0")

    assert done.stdout == "inside\n"
    assert "fork" in done.stderr  # it counts, so it has no place for more


def test_more_memory_than_allowed_is_the_end(daemon: Daemon) -> None:
    limits = {"memory": 64 * MIB}
    create(daemon, "one", "python3", "-c", "b'x' * (150 << 20)", limits=limits, **PROCESS)

    ended = act(daemon, "wait", "one")

    assert (ended["reason"], ended["exit_code"]) == ("memory", 137)


def test_memory_is_sampled_where_no_control_group_limits_it(tmp_path: Path, busybox_root: Path) -> None:
    instance = HostedInstance(tmp_path, busybox_root, virtual=False)
    try:
        script = "read go; x=0123456789abcdef; while :; do x=$x$x; done"
        instance.shell(script, interactive=True, limits=GuestLimits(resident=64 * MIB))
        client = instance.connect()
        client.started()
        instance.say("go\n")

        assert "the limit is 64" in client.event(EventType.MEMORY).text
        assert instance.wait().reason is EndReason.MEMORY
    finally:
        instance.close()


# What outlives the daemon, and what does not outlive the instance.


def test_a_new_daemon_goes_on_with_it(daemon: Daemon) -> None:
    before = create(daemon, "one", "sh", "-c", COUNT, **PROCESS)
    wait_log(daemon, "one", 3)

    daemon.kill()
    daemon.start()

    after = daemon.wait_state("one", "running")
    assert (after["pid"], after["engine"]) == (before["pid"], "process")
    assert after["protections"] == before["protections"] is not None
    assert daemon.run("exec", "one", "--", "echo", "inside").stdout == "inside\n"
    wait_log(daemon, "one", len(log_of(daemon, "one")) + 3)
    assert act(daemon, "stop", "one")["state"] == "exited"


def test_nothing_is_left_of_it(daemon: Daemon) -> None:
    create(daemon, "one", "sh", "-c", "sleep 1000 & setsid sleep 1000 & exec sleep 1000", **PROCESS)
    assert find_leftovers(daemon.directory, daemon.state_dir, daemon.run_dir) != []

    act(daemon, "stop", "one")
    daemon.signal(signal.SIGTERM)

    assert find_leftovers(daemon.directory, daemon.state_dir, daemon.run_dir) == []


def test_it_ends_with_who_holds_it(daemon: Daemon) -> None:
    first = create(daemon, "one", "sh", "-c", "setsid sleep 1000 & exec sleep 1000", **PROCESS)

    os.kill(supervisor_of(daemon, "one"), signal.SIGKILL)

    assert daemon.wait_state("one", "failed")["reason"] == "lost"
    eventually(lambda: not Path(f"/proc/{first['pid']}").exists(), "the end of its program")
    eventually(lambda: control_groups(daemon.state_dir) == [], "the end of its control group")


@pytest.mark.net
def test_it_is_in_its_tenants_network_with_a_port_of_the_host() -> None:
    server = "import http.server as h; h.HTTPServer(('', 80), h.SimpleHTTPRequestHandler).serve_forever()"
    configuration = f"""
[tenants.acme]
isolation = "process"
network = {{}}
[tenants.acme.instances.web]
engine = "process"
command = ["python3", "-c", {json.dumps(server)}]
ports = ["8080:80"]
"""
    with network_daemon(configuration) as hosting:

        def answers(address: str, port: int) -> bool:
            try:
                with hosting.connect(address, port) as connection:
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    return connection.recv(100).startswith(b"HTTP/1.0 200")
            except OSError:
                return False

        status = hosting.wait_state("acme/web", "running")
        eventually(lambda: answers(status["addresses"][0], 80), "an answer at its address")
        eventually(lambda: answers("127.0.0.1", 8080), "an answer at the published port")
        assert hosting.instance("acme/web")["isolation"] == "process"


@pytest.mark.net
def test_an_ordinary_users_daemon_runs_it_in_a_network_and_says_what_is_approximate() -> None:
    if reason := missing_ability():
        pytest.skip(reason)
    with make_host() as host:
        daemon = OrdinaryDaemon(host, ORDINARY)
        try:
            daemon.start()
            daemon.wait_state("acme/web", "running")
            with host.connection("127.0.0.1:8080") as say:
                eventually(lambda: say("hello") == "hello", "an echo through the published port")
            assert "approximate" in daemon.run("events").stdout
            (inspected,) = json.loads(daemon.run("inspect", "web").stdout)
            holds = {each["name"]: each["holds"] for each in inspected["protections"]}
            assert holds["user_namespace"]
            assert not holds["cgroup"]
        finally:
            daemon.close()
