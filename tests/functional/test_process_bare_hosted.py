"""Hosting programs where neither user namespaces nor mounts can be had."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.engines.bare import BARE_WARNING
from tests.functional.bare import BareDaemon, need_landlock
from tests.functional.hosting import eventually

pytestmark = pytest.mark.root

CONFIGURATION = """
[tenants.low]
isolation = "process"
[tenants.low.instances.one]
engine = "process"
command = ["sh", "-c", '''{script}''']
"""
SLEEPS = "echo up; (setsid {sleep} &) ; exec {sleep}"


class Hosted:
    """A daemon with one instance."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.daemon: BareDaemon

    def begin(self, script: str = SLEEPS, more: str = "") -> Any:
        """Start both; returns the instance's status once it runs."""
        self.daemon = BareDaemon(self.kind)
        script = script.format(sleep=self.daemon.around.sleep)
        self.daemon.config.write_text(CONFIGURATION.format(script=script) + more)
        self.daemon.start()
        return self.daemon.wait_state("one", "running")

    def run(self, *arguments: str) -> str:
        """What a command of kwhost's prints, which succeeds."""
        done = self.daemon.run(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), done
        return str(done.stdout)

    def scratch(self) -> Path:
        """Where it writes."""
        return Path(f"/tmp/kwhost-{self.daemon.instance('one')['id']}")

    def is_asleep(self) -> bool:
        """Both its processes are there."""
        return len(self.daemon.around.sleepers()) == 2


@pytest.fixture(params=["container", "user"])
def hosted(request: pytest.FixtureRequest) -> Iterator[Hosted]:
    made = Hosted(need_landlock(request.param))
    yield made
    made.daemon.close()


def test_an_instance_tells_which_protections_hold(hosted: Hosted) -> None:
    missing = hosted.begin()["protections"]["missing"]

    assert {"user_namespace", "mounts", "pids", "uts"} <= missing.keys()
    assert not missing.keys() & {"landlock", "seccomp", "capabilities", "broker", "network", "ipc"}


def test_each_start_tells_that_it_is_without_namespaces(hosted: Hosted) -> None:
    hosted.begin()

    assert hosted.run("events").count(BARE_WARNING) == 1
    hosted.run("restart", "one")
    assert hosted.run("events").count(BARE_WARNING) == 2


def test_stop_ends_all_that_it_made(hosted: Hosted) -> None:
    hosted.begin()
    eventually(hosted.is_asleep, "its start")
    scratch = hosted.scratch()
    assert scratch.is_dir()

    hosted.run("stop", "one")

    assert hosted.daemon.instance("one")["state"] == "exited"
    assert not hosted.daemon.around.sleepers()
    assert not scratch.exists()


def test_what_takes_no_signal_is_killed(hosted: Hosted) -> None:
    script = "trap '' TERM; (setsid {sleep} &) ; while :; do {sleep}; done"
    hosted.begin(script, "stop_timeout = 0.1\n")
    eventually(hosted.is_asleep, "its start")

    hosted.run("stop", "one")

    assert hosted.daemon.instance("one")["exit_code"] == 128 + signal.SIGKILL
    assert not hosted.daemon.around.sleepers()


def test_its_log_is_kept_and_it_can_be_started_again(hosted: Hosted) -> None:
    hosted.begin()

    hosted.run("restart", "one")
    hosted.daemon.wait_state("one", "running")

    assert eventually(lambda: (log := hosted.run("logs", "one")).count("up") == 2 and log) == "up\nup\n"


def test_a_further_program_has_the_same_restrictions(hosted: Hosted) -> None:
    hosted.begin()
    script = (
        "echo $HOME $TMPDIR; echo 1 >$HOME/file && cat $HOME/file; cat /etc/shadow; echo >/tmp/kwhost-no; "
        "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; exit 7"
    )

    done = hosted.daemon.run("exec", "one", "--", "sh", "-c", script)

    assert done.returncode == 7
    assert done.stdout.splitlines() == [
        f"{hosted.scratch()} {hosted.scratch()}",
        "1",
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ]
    assert done.stderr.count("ermission denied") == 2


def test_what_a_further_program_leaves_behind_ends_with_it(hosted: Hosted) -> None:
    hosted.begin()
    eventually(hosted.is_asleep, "its start")

    hosted.run("exec", "one", "--", "sh", "-c", f"setsid {hosted.daemon.around.sleep} & exit 0")

    assert hosted.is_asleep()


def test_a_further_program_gets_a_terminal(hosted: Hosted) -> None:
    hosted.begin()

    shown = hosted.run("exec", "-t", "one", "--", "sh", "-c", "tty >/dev/null && echo here >/dev/tty")

    assert shown.strip() == "here"


def test_its_own_processes_are_listed_and_no_others(hosted: Hosted) -> None:
    hosted.begin()
    eventually(hosted.is_asleep, "its start")

    listed = json.loads(hosted.run("top", "--json", "one"))

    assert [entry["command"] for entry in listed] == [hosted.daemon.around.sleep] * 2
    assert [entry["pid"] for entry in listed] == sorted(hosted.daemon.around.sleepers())


def test_what_it_wrote_can_be_copied(hosted: Hosted, tmp_path: Path) -> None:
    hosted.begin("mkdir $HOME/d; echo 1 >$HOME/d/one; ln -s /etc/passwd $HOME/d/link; echo up; {sleep}")
    eventually(lambda: hosted.run("logs", "one") == "up\n", "its start")
    (tmp_path / "two").write_text("2\n")

    hosted.run("cp", f"one:{hosted.scratch()}/d", str(tmp_path))
    hosted.run("cp", str(tmp_path / "two"), f"one:{hosted.scratch()}/d")

    assert (tmp_path / "d/one").read_text() == "1\n"
    assert (tmp_path / "d/link").readlink() == Path("/etc/passwd")
    assert hosted.run("exec", "one", "--", "sh", "-c", "cat $HOME/d/two") == "2\n"


@pytest.mark.parametrize("path", ["/etc/passwd", "/root", "/tmp/kwhost-"])
def test_nothing_else_can_be_copied(hosted: Hosted, tmp_path: Path, path: str) -> None:
    hosted.begin()

    out = hosted.daemon.run("cp", f"one:{path}", str(tmp_path))
    up = hosted.daemon.run("cp", f"one:{hosted.scratch()}/../../etc/passwd", str(tmp_path))

    assert f"only what lies beneath {hosted.scratch()} can be copied" in out.stderr
    assert up.returncode != 0
    assert not list(tmp_path.iterdir())


def test_the_next_daemon_finds_it_again(hosted: Hosted) -> None:
    pid = hosted.begin()["pid"]

    hosted.daemon.kill()
    hosted.daemon.start()

    status = hosted.daemon.wait_state("one", "running")
    assert (status["pid"], status["restarts"]) == (pid, 0)
    assert "mounts" in status["protections"]["missing"]
    assert hosted.daemon.run("exec", "one", "--", "true").returncode == 0


def _supervise(keeper: int) -> int:
    return int(Path(f"/proc/{keeper}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("when", ["while a daemon runs", "before the next one"])
def test_nothing_is_left_where_supervise_and_keeper_were_killed(hosted: Hosted, when: str) -> None:
    keeper = hosted.begin()["pid"]
    eventually(hosted.is_asleep, "its start")
    scratch, supervise = hosted.scratch(), _supervise(keeper)
    if when == "before the next one":
        hosted.daemon.kill()

    os.kill(supervise, signal.SIGSTOP)  # either would end all when it sees the other's end
    for pid in (keeper, supervise):
        os.kill(pid, signal.SIGKILL)
    if when == "before the next one":
        hosted.daemon.start()

    hosted.daemon.wait_state("one", "exited", "failed")
    assert not hosted.daemon.around.sleepers()
    assert not scratch.exists()


@pytest.mark.parametrize(
    ("option", "value", "missing"),
    [
        ("--network", "tenant", ("networks and ports need a network namespace", "nftables of this host")),
        ("--policy", "strict", ("rules on files cannot be held here",)),
        ("--secret", "key=/etc/hostname", ("secrets need mounts, which cannot be had here",)),
        ("--tmpfs", "/t", ("a tmpfs needs mounts, which cannot be had here",)),
    ],
)
def test_what_cannot_be_had_is_an_error(
    hosted: Hosted, option: str, value: str, missing: tuple[str, ...]
) -> None:
    hosted.begin()

    done = hosted.daemon.run("run", "--tenant", "low", "--engine", "process", option, value, "--", "true")

    assert done.returncode != 0
    assert any(text in done.stderr for text in missing), done.stderr


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ('storage = "1M"', "storage cannot be limited here without namespaces"),
        ('healthcheck = { tcp = ":80" }', "a health check by tcp needs a network"),
    ],
)
def test_what_a_configuration_cannot_have_is_an_error(hosted: Hosted, line: str, missing: str) -> None:
    two = f'[tenants.low.instances.two]\nengine = "process"\n{line}\ncommand = ["true"]\n'
    hosted.begin(more=two)

    assert missing in hosted.daemon.wait_state("two", "failed")["message"]


def test_rules_on_calls_hold_and_are_told(hosted: Hosted) -> None:
    rules = 'base = "default"\nsyscalls = { deny = ["mkdir"], log = ["uname"] }\n'
    hosted.begin(
        "mkdir $HOME/x 2>/dev/null || echo refused; uname; {sleep}",
        f'policy = "calm"\n[policies.calm]\n{rules}',
    )

    def told() -> bool:
        events = hosted.run("events", "--json")
        return "mkdir" in events and "uname" in events

    assert (
        eventually(lambda: (log := hosted.run("logs", "one")).count("\n") == 2 and log) == "refused\nLinux\n"
    )
    eventually(told, "the events")
