"""The command line with a real daemon: what operators do all day."""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.errors import KwhostError
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.session import Session
from tests.patience import SECONDS

pytestmark = pytest.mark.kvm

TWO = """
[tenants.acme.instances.one]
command = ["sh", "-c", "echo from one; echo aside >&2; exec sleep 1000"]
[tenants.acme.instances.two]
command = "sleep 1000"
"""


@pytest.fixture
def two(kwhostd: StartDaemon) -> Daemon:
    """A daemon with two instances that run."""
    daemon = kwhostd(TWO)
    daemon.wait_state("one", "running")
    daemon.wait_state("two", "running")
    return daemon


@pytest.fixture
def empty(kwhostd: StartDaemon) -> Daemon:
    """A daemon without instances."""
    return kwhostd()


def test_ps_lists_what_the_configuration_names(two: Daemon) -> None:
    listed = {each["name"]: each for each in json.loads(two.run("ps", "--json").stdout)}

    assert set(listed) == {"one", "two"}
    promised = (
        "id name tenant engine isolation state health pid image command created started exit_code restarts "
        "ports"
    )
    assert set(promised.split()) <= set(listed["one"])
    assert listed["two"]["state"] == "running"
    assert "sleep 1000" in two.run("ps").stdout


def test_stop_start_and_remove(two: Daemon) -> None:
    assert two.run("stop", "-t", "5", "one", "two").stdout == "one\ntwo\n"
    assert json.loads(two.run("ps", "--json").stdout) == []
    assert two.run("start", "one").returncode == 0
    assert two.run("rm", "one", "two").returncode == 125

    assert [each["name"] for each in json.loads(two.run("ps", "-a", "--json").stdout)] == ["one"]


def test_a_paused_instance_goes_on_when_it_is_resumed(two: Daemon) -> None:
    paused = two.run("pause", "one")
    if "cgroup" in paused.stderr:
        pytest.skip(paused.stderr)

    assert two.instance("one")["state"] == "paused"
    assert two.run("resume", "one").returncode == 0
    assert two.instance("one")["state"] == "running"


def test_kill_and_wait_tell_the_exit_code(two: Daemon) -> None:
    two.run("kill", "-s", "TERM", "two")

    assert two.run("wait", "two").stdout == "143\n"


def test_logs_keep_the_programs_streams_apart(two: Daemon) -> None:
    shown = eventually(lambda: (done := two.run("logs", "one")).stderr and done, "both lines")

    assert (shown.stdout, shown.stderr) == ("from one\n", "aside\n")


def test_followed_logs_end_with_the_instance(empty: Daemon) -> None:
    empty.run("run", "-d", "--name", "clock", "--", "sh", "-c", "for i in 1 2 3; do sleep 0.2; echo $i; done")

    assert empty.run("logs", "-f", "clock").stdout == "1\n2\n3\n"


def test_inspect_stats_top_and_tenants_are_json(two: Daemon) -> None:
    inspected = json.loads(two.run("inspect", "one").stdout)[0]
    used = json.loads(two.run("stats", "--json", "two").stdout)
    processes = json.loads(two.run("top", "--json", "two").stdout)
    tenants = json.loads(two.run("tenant", "ls", "--json").stdout)

    assert inspected["definition"]["command"][0] == "sh"
    assert inspected["counted"]["calls"]
    assert [each["name"] for each in used] == ["two"]
    assert any("sleep" in each["command"] for each in processes)
    assert {each["name"]: each["running"] for each in tenants} == {"acme": 2, "default": 0}


def test_tables_for_people_name_everything(two: Daemon) -> None:
    assert re.search(r"acme +one", two.run("stats").stdout)
    assert "sleep 1000" in two.run("top", "two").stdout
    assert "acme" in two.run("tenant", "show", "acme").stdout
    assert re.search(r"acme/one +started", two.run("events").stdout)


def test_the_newest_events_of_one_instance_are_shown(two: Daemon) -> None:
    lines = two.run("events", "--tail", "2", "--instance", "acme/one").stdout.splitlines()

    assert len(lines) == 2
    assert all("  acme/one  " in line for line in lines)
    assert lines[-1].endswith("started")
    assert "there is no instance 'acme/none'" in two.run("events", "--instance", "acme/none").stderr


def test_reload_applies_the_difference(two: Daemon) -> None:
    before = two.instance("one")["id"]
    two.config.write_text(TWO.replace("instances.two", "instances.three"))

    assert sorted(two.run("reload").stdout.splitlines()) == ["created: acme/three", "removed: acme/two"]
    assert two.instance("one")["id"] == before


def test_a_wrong_configuration_is_told_line_by_line_and_changes_nothing(two: Daemon) -> None:
    two.config.write_text(TWO + 'memmory = "1G"\nreplicas = "many"\n')

    done = two.run("reload")

    assert done.returncode == 125
    assert done.stderr.count("kwhost.toml:") == 2
    assert two.instance("two")["state"] == "running"


def test_a_second_daemon_is_refused(two: Daemon) -> None:
    done = two.run("up", str(two.config))

    assert done.returncode == 125
    assert "kwhost reload" in done.stderr


def test_down_ends_everything(two: Daemon) -> None:
    assert two.run("down").returncode == 0

    assert two.process
    assert two.process.wait(SECONDS) == 0
    assert "no daemon runs" in two.run("ps").stderr


def test_instances_outlive_a_killed_daemon(two: Daemon) -> None:
    before = two.instance("one")
    two.kill()
    two.start()

    after = two.wait_state("one", "running")
    assert (after["id"], after["pid"]) == (before["id"], before["pid"])


def test_interrupting_the_daemon_forgets_configured_instances(two: Daemon) -> None:
    assert two.signal(signal.SIGINT) == 0
    two.config.write_text("")
    two.start()

    assert json.loads(two.run("ps", "-a", "--json").stdout) == []


def test_a_daemon_in_the_background_is_ready_when_up_returns(kwhostd: StartDaemon) -> None:
    daemon = kwhostd()
    daemon.run("down")

    done = daemon.run("up", "-d", str(daemon.config))

    assert done.returncode == 0
    assert str(daemon.socket) in done.stdout
    assert daemon.client.request("GET", "/v1/instances") == []


def test_tenants_users_reach_a_daemon_whatever_umask_it_was_started_with(kwhostd: StartDaemon) -> None:
    daemon = kwhostd()
    assert daemon.run("down").returncode == 0
    daemon.run_dir.rmdir()

    assert daemon.run("up", "-d", str(daemon.config), umask=0o077).returncode == 0

    assert daemon.run_dir.stat().st_mode & 0o777 == 0o755


def test_a_daemon_that_cannot_start_says_why(kwhostd: StartDaemon, tmp_path: Path) -> None:
    daemon = kwhostd()
    daemon.run("down")
    broken = tmp_path / "broken.toml"
    broken.write_text("[plugins.unheard]\nx = 1\n")

    done = daemon.run("up", "-d", str(broken))

    assert done.returncode == 125
    assert "unheard" in done.stderr


# Running.


def test_run_passes_streams_and_status(empty: Daemon) -> None:
    done = empty.run(
        "run", "--name", "job", "-i", "--", "sh", "-c", "cat; echo aside >&2; exit 7", input="text"
    )

    assert (done.returncode, done.stdout, done.stderr) == (7, "text", "aside\n")
    assert empty.instance("job")["exit_code"] == 7
    assert empty.run("logs", "job").stdout == "text"


def test_nothing_that_a_program_writes_is_lost(empty: Daemon) -> None:
    done = empty.run("run", "--rm", "--", "head", "-c", "20000000", "/dev/zero", text=False)

    assert len(done.stdout) == 20_000_000
    assert json.loads(empty.run("ps", "-a", "--json").stdout) == []


@pytest.mark.parametrize(
    ("options", "command", "status"),
    [
        ([], ["/nowhere/program"], 127),
        ([], ["/etc/passwd"], 126),
        ([], ["sh", "-c", "kill -TERM $$"], 143),
        (["--timeout", "500ms"], ["sleep", "1000"], 124),
        (["--tenant", "unheard"], ["true"], 125),
    ],
)
def test_exit_statuses(empty: Daemon, options: list[str], command: list[str], status: int) -> None:
    assert empty.run("run", *options, "--", *command).returncode == status


def test_what_does_not_start_is_not_kept(empty: Daemon) -> None:
    empty.run("run", "--", "/nowhere/program")

    assert json.loads(empty.run("ps", "-a", "--json").stdout) == []


def test_statistics_of_a_run(empty: Daemon) -> None:
    shown = empty.run("run", "--stats", "--", "true").stderr

    assert re.search(r"system calls +[1-9]", shown)
    assert "start time" in shown


def test_signals_reach_the_program(empty: Daemon) -> None:
    script = "trap 'echo got it; exit 5' USR1; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        empty.command("run", "--rm", "--", "sh", "-c", script),
        env=empty.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)

        assert process.stdout.read() == "got it\n"
        assert process.wait(SECONDS) == 5


def test_who_interrupts_twice_means_it(empty: Daemon) -> None:
    script = "trap 'echo no' INT; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        empty.command("run", "--", "sh", "-c", script),
        env=empty.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "no\n"
        process.send_signal(signal.SIGINT)

        assert process.wait(SECONDS) == 137


def test_a_background_daemon_holds_nothing_of_its_callers(kwhostd: StartDaemon) -> None:
    daemon = kwhostd()
    daemon.run("down")

    with subprocess.Popen(
        ["sh", "-c", 'exec "$@" 5>&1', "sh", *daemon.command("up", "-d", str(daemon.config))],
        env=daemon.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert "hosts 0" in process.stdout.read()  # until everybody has closed it


def test_a_detached_program_goes_on_and_leaves_nothing_with_rm(empty: Daemon) -> None:
    started = empty.run("run", "-d", "--rm", "--name", "short", "--", "sleep", "0.5")
    assert re.fullmatch("[0-9a-f]{12}\n", started.stdout)

    eventually(lambda: json.loads(empty.run("ps", "-a", "--json").stdout) == [], "its removal")


def test_limits_reach_the_instance(empty: Daemon) -> None:
    done = empty.run("run", "--pids", "3", "--", "sh", "-c", "for i in 1 2 3 4; do sleep 1000 & done")

    assert "fork" in done.stderr


def test_a_program_in_an_instance_sees_the_same_files(two: Daemon) -> None:
    assert two.run("exec", "-i", "one", "--", "tee", "/tmp/note", input="text").stdout == "text"
    done = two.run("exec", "-e", "A=1", "-w", "/tmp", "one", "sh", "-c", "cat note; echo $A; exit 4")

    assert (done.returncode, done.stdout) == (4, "text1\n")
    assert two.run("exec", "two", "--", "cat", "/tmp/note").returncode == 1


def test_a_program_that_an_instance_does_not_have(two: Daemon) -> None:
    assert two.run("exec", "one", "--", "/nowhere/program").returncode == 127


# On a terminal.


def on_terminal(daemon: Daemon, *arguments: str) -> Session:
    environment = [f"{name}={daemon.environment[name]}" for name in daemon.environment if "KWHOST" in name]
    return Session(["env", *environment, *daemon.command(*arguments)])


def test_a_shell_in_an_instance_has_the_operators_terminal(two: Daemon) -> None:
    session = on_terminal(
        two, "exec", "-it", "-e", "PS1=ready> ", "one", "--", "bash", "--norc", "--noediting"
    )
    try:
        session.wait_for("ready> ")
        session.type("stty size; exit 9\n")
        session.wait_for("30 100")
        assert session.process.wait(SECONDS) == 9
    finally:
        session.close()


def test_detached_keys_let_go_and_attach_comes_back(empty: Daemon) -> None:
    first = on_terminal(
        empty, "run", "-it", "--name", "shell", "-e", "PS1=ready> ", "--", "bash", "--norc", "--noediting"
    )
    try:
        first.wait_for("ready> ")
        first.type("\x10\x11")
        first.wait_for("goes on")
        assert first.process.wait(SECONDS) == 0
    finally:
        first.close()
    again = on_terminal(empty, "attach", "shell")
    try:
        again.type("echo back $((40 + 2)); exit 3\n")
        again.wait_for("back 42")
        assert again.process.wait(SECONDS) == 3
    finally:
        again.close()


def test_logs_on_a_terminal_show_control_characters_as_text(empty: Daemon) -> None:
    empty.run("run", "--name", "rude", "--", "printf", r"\033[31mred\n")
    session = on_terminal(empty, "logs", "rude")
    try:
        assert "\x1b" not in session.wait_for("red")
    finally:
        session.close()


# Without a daemon.


def test_without_a_daemon_memory_and_processes_are_held_all_the_same(run_kwhost: Any) -> None:
    ask = "bytearray(100 << 20)"

    memory = run_kwhost(["--memory", "40M", "--", "python3", "-c", ask])
    processes = run_kwhost(["--pids", "3", "--", "sh", "-c", "for i in 1 2 3 4; do sleep 1000 & done"])

    assert "MemoryError" in memory.stderr
    assert "fork" in processes.stderr


def test_run_detached_starts_a_daemon(kwhostd: StartDaemon) -> None:
    daemon = kwhostd()
    daemon.run("down")
    home = {name: value for name, value in daemon.environment.items() if name != "KWHOST_HOST"}

    done = subprocess.run(
        daemon.command("run", "-d", "--name", "later", "--", "sleep", "1000"),
        env=home | {"XDG_CONFIG_HOME": str(daemon.directory)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )

    assert done.returncode == 0, done.stderr
    assert daemon.instance("later")["state"] == "running"


def test_an_answer_that_is_cut_off_is_one_line(empty: Daemon) -> None:
    process = subprocess.Popen(
        empty.command("run", "--", "sleep", "1000"), env=empty.environment, stderr=subprocess.PIPE, text=True
    )
    eventually(lambda: [each for each in _list(empty) if each["state"] == "running"], "its start")
    empty.kill()

    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 125
    assert errors.count("\n") == 1
    assert "hung up" in errors


def _list(daemon: Daemon) -> Any:
    try:
        return daemon.client.request("GET", "/v1/instances")
    except KwhostError:
        return []
