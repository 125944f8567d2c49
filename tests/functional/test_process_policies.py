"""What decides calls where programs have no monitor: the broker, and what becomes of an instance with it."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.abi.exit_record import EndReason
from kwhost.core.abi.messages import EventType, answer
from tests.functional.approver import PLACES, asking, finished, prepared, shell, start
from tests.functional.hosted import HostedInstance, New, wait_until
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.policies import ByHand
from tests.patience import SECONDS

EPERM = 1
ONLY_PROCESS = ["--engine", "process", "--isolation", "process"]

Kwhost = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def instance(new: New, busybox_root: Path) -> HostedInstance:
    return prepared(new, busybox_root, virtual=False)


@pytest.fixture
def kwhost(kwhost_command: list[str]) -> Kwhost:
    """The command, in the foreground."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*kwhost_command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


def children(pid: int) -> dict[int, str]:
    """The living children of a process on the host, and their names."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            name, _, fields = Path(f"/proc/{entry}/stat").read_text().partition("(")[2].rpartition(") ")
        except OSError:
            continue
        if entry.isdecimal() and int(fields.split()[1]) == pid and fields[0] != "Z":
            found[int(entry)] = name
    return found


def everybody(instance: HostedInstance) -> set[int]:
    """Supervise, all that it started, and what these did."""
    assert instance.process
    seen, new = set(), {instance.process.pid}
    while new:
        seen |= new
        new = {child for pid in new for child in children(pid)} - seen
    return seen


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def broker_of(instance: HostedInstance) -> int:
    """Once the program runs, and it has given itself its name."""
    assert instance.process
    supervise = instance.process.pid
    instance.connect().started()
    (broker,) = wait_until(lambda: [pid for pid, name in children(supervise).items() if name == "kw-broker"])
    return int(broker)


@pytest.mark.hw
def test_what_is_told_names_processes_as_the_instance_does(instance: HostedInstance) -> None:
    approver = shell(
        instance, ByHand().call("mkdir", "ERRNO", EPERM, 7), "echo; sh -c 'echo $$; exec mkdir /x'; :"
    )

    told = approver.client.event(EventType.DENIED)

    pid = int(finished(instance)[1])
    assert pid > 1
    assert told.text.split()[:2] == [str(pid), str(pid)]


@pytest.mark.hw
@pytest.mark.parametrize(
    ("program", "end"),
    [("exec cat /tmp/asked", signal.SIGSYS), ("trap 'echo caught' SYS; read x < /tmp/asked", signal.SIGKILL)],
    ids=["plain", "handles-it"],
)
def test_who_opens_what_kills_is_killed(instance: HostedInstance, program: str, end: signal.Signals) -> None:
    policy = ByHand().path("/tmp/asked", 0, ("KILL", 0, 5))

    shell(instance, policy, f"({program}; echo still there); echo $?")

    printed = finished(instance)
    assert printed[-1] == str(128 + end)
    assert not {"caught", "still there"} & set(printed)


@pytest.mark.hw
def test_the_end_of_the_broker_is_the_end_of_the_instance(instance: HostedInstance) -> None:
    approver = shell(instance, asking(), "mkdir /tmp/new & sleep 1000")
    approver.question()
    all_of_it = everybody(instance)

    os.kill(broker_of(instance), signal.SIGKILL)

    record = instance.wait()
    assert (record.reason, record.failed_status) == (EndReason.FAILED, 125)
    assert record.text == "the instance's broker was killed, and the instance with it"
    wait_until(lambda: not any(lives(pid) for pid in all_of_it))


@pytest.mark.hw
def test_nothing_outlives_a_supervise_that_is_killed(instance: HostedInstance) -> None:
    approver = shell(instance, asking(), "mkdir /tmp/a & mkdir /tmp/b & sleep 1000")
    approver.question()
    approver.question()
    all_of_it = everybody(instance)
    assert instance.process
    assert len(all_of_it) >= 7  # with a shell, three programs, the broker and two workers

    instance.process.kill()

    wait_until(lambda: not any(lives(pid) for pid in all_of_it))


@pytest.mark.hw
def test_open_questions_leave_room_for_other_calls(instance: HostedInstance) -> None:
    policy = asking().path("/etc/**", 4)  # rules about files: the broker opens them
    script = f"/bin/questions many {PLACES} & read go; cat /tmp/asked; wait"
    approver = shell(instance, policy, script)
    questions = [approver.question() for _ in range(PLACES)]

    instance.say("go\n")
    wait_until(lambda: "asked\n" in instance.logged())

    for question in questions:
        approver.client.send(answer(question.number, allow=True))
    assert finished(instance)[-1] == f"made {PLACES}, refused 0"


@pytest.mark.hw
def test_a_call_that_waits_ends_with_its_caller(instance: HostedInstance) -> None:
    policy = ByHand().path("/etc/**", 4)
    script = "busybox mkfifo /tmp/pipe; (exec cat /tmp/pipe) & read go; kill -9 $!; wait $!; echo $?; read go"
    start(instance, policy, "/bin/sh", "-c", script)
    broker = broker_of(instance)
    wait_until(lambda: children(broker))

    instance.say("go\n")
    wait_until(lambda: instance.logged() == f"{128 + signal.SIGKILL}\n")

    wait_until(lambda: not children(broker))  # it was free, and idle for a while
    instance.say("go\n")
    assert finished(instance)


def test_a_program_in_the_foreground_is_judged_and_its_calls_are_counted(
    kwhost: Kwhost, tmp_path: Path
) -> None:
    policy = tmp_path / "own.toml"
    policy.write_text(
        'base = "default"\n[syscalls]\ndeny = ["mkdir"]\nlog = ["umask"]\n'
        'rules = [{ call = "kill", args = { 1 = ["SIGUSR1"] }, action = "errno:EBUSY" }]\n'
    )

    done = kwhost(
        "run",
        *ONLY_PROCESS,
        "--policy",
        str(policy),
        "--stats",
        "--",
        "sh",
        "-c",
        "umask; mkdir /tmp/x; kill -USR1 $$; true",
    )

    assert done.returncode == 0
    assert "0022" in done.stdout
    assert "mkdir: cannot create directory" in done.stderr
    assert "Device or resource busy" in done.stderr
    rules = {tuple(line.split()[1:4]) for line in done.stderr.splitlines()}
    assert ("1", "errno:EPERM", "mkdir") in rules
    assert ("0", "log", "umask") in rules


def test_under_what_was_learnt_a_program_does_the_same_again(kwhost: Kwhost, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nmkdir /tmp/a && echo one > /tmp/a/b && cat /tmp/a/b\n$EXTRA\n")
    script.chmod(0o755)
    learnt = tmp_path / "learnt.toml"
    program = ["-v", f"{script}:/script:ro", "--", "/script"]

    first = kwhost("policy", "learn", "-o", str(learnt), *ONLY_PROCESS, *program)
    again = kwhost("run", *ONLY_PROCESS, "--policy", str(learnt), *program)
    more = kwhost("run", *ONLY_PROCESS, "--policy", str(learnt), "-e", "EXTRA=id", *program)

    assert (first.returncode, first.stdout) == (0, "one\n"), first.stderr
    assert (again.returncode, again.stdout, again.stderr) == (0, "one\n", "")
    assert more.returncode != 0
    assert "id: Permission denied" in more.stderr


def test_threads_are_learnt_with_what_was_tried_before(kwhost: Kwhost, tmp_path: Path) -> None:
    """The engine has no clone3; the C library makes threads without it only where that says ENOSYS."""
    learnt = tmp_path / "learnt.toml"
    thread = "import threading; t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()"

    assert (
        kwhost("policy", "learn", "-o", str(learnt), *ONLY_PROCESS, "--", "python3", "-c", thread).returncode
        == 0
    )
    done = kwhost("run", *ONLY_PROCESS, "--policy", str(learnt), "--", "python3", "-c", thread)

    assert (done.returncode, done.stdout, done.stderr) == (0, "thread\n", "")


CONFIGURATION = """
[policies.own]
base = "default"
SYSCALLS
ask_timeout = "60s"
[tenants.acme]
isolation = "process"
[tenants.acme.instances.job]
engine = "process"
command = ["sh", "-c", "COMMAND"]
policy = "own"
"""


def configuration(syscalls: str, command: str) -> str:
    return CONFIGURATION.replace("SYSCALLS", syscalls).replace("COMMAND", command)


def questions(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = daemon.client.request("GET", "/v1/questions")
    return found


def logged(daemon: Daemon) -> list[str]:
    return str(daemon.run("logs", "job").stdout).splitlines()


def test_a_denied_call_becomes_an_event(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration('syscalls = { deny = ["mkdir"] }', "mkdir /tmp/x; sleep 1000"))

    def denied() -> list[dict[str, Any]]:
        found = [event.data for event in daemon.client.events("/v1/events")]
        return [event for event in found if event["kind"] == "denied" and event["data"]["call"] == "mkdir"]

    event = eventually(denied, "an event")[0]
    assert event["data"]["rule"] == "errno:EPERM mkdir"
    assert int(event["data"]["pid"]) > 1
    layer = daemon.client.request("GET", "/v1/instances/job/policy")["layers"][0]
    rule = next(rule for rule in layer["rules"] if rule["text"] == "errno:EPERM mkdir")
    assert rule["hits"] == rule["denied"] == 1


def test_the_operator_answers_from_the_command_line(kwhostd: StartDaemon) -> None:
    made = "mkdir /tmp/a && echo a yes; mkdir /tmp/b || echo b no"
    daemon = kwhostd(configuration('syscalls = { ask = ["mkdir"] }', made))

    first = eventually(lambda: questions(daemon), "a question")[0]["id"]
    assert daemon.run("policy", "answer", first, "allow").returncode == 0
    second = eventually(lambda: [each["id"] for each in questions(daemon) if each["id"] != first])[0]
    assert daemon.run("policy", "answer", second, "refuse").returncode == 0

    daemon.wait_state("job", "exited")
    assert [line for line in logged(daemon) if line.endswith((" yes", " no"))] == ["a yes", "b no"]


@pytest.mark.root
def test_who_waits_for_an_answer_can_be_paused(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration('syscalls = { ask = ["mkdir"] }', "mkdir /tmp/a && echo made; sleep 1000"))
    eventually(lambda: questions(daemon), "a question")

    assert daemon.run("pause", "job").returncode == 0
    eventually(lambda: not questions(daemon), "the question's end")
    assert daemon.run("resume", "job").returncode == 0

    again = eventually(lambda: questions(daemon), "the question again")[0]["id"]
    assert daemon.run("policy", "answer", again, "allow").returncode == 0
    eventually(lambda: logged(daemon) == ["made"], "the call")
