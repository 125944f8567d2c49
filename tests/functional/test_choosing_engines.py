"""Which engine runs what, on a host with KVM and on one without: nobody gets less than their floor."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from kwhost.core.errors import KvmError, QuotaExceeded
from tests.functional.daemon_requests import act, create
from tests.functional.hosting import Daemon, StartDaemon
from tests.functional.without_kvm import WithoutKvm, hide_kvm
from tests.patience import SECONDS

pytestmark = pytest.mark.root

# One tenant allows the weaker engine; the other says nothing.
CONFIGURATION = """
[tenants.lab]
isolation = "process"
[tenants.acme]
"""
LAB = """
[tenants.lab]
isolation = "{floor}"
[tenants.lab.instances.configured]
command = ["sleep", "1000"]
"""


@pytest.fixture
def without() -> Iterator[WithoutKvm]:
    daemon = WithoutKvm(CONFIGURATION)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.close()


def notices(daemon: Daemon) -> list[str]:
    events = [event.data for event in daemon.client.events("/v1/events", {"after": 0})]
    return [event["text"] for event in events if event["kind"] == "notice"]


def run(*arguments: str, kvm: bool = True) -> "subprocess.CompletedProcess[str]":
    """`kwhost run` in the foreground."""
    command = [sys.executable, "-m", "kwhost", "run", *arguments]
    return subprocess.run(
        command if kvm else hide_kvm(*command),
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


def test_without_kvm_a_tenant_that_allows_it_has_the_weaker_engine_with_one_line(without: WithoutKvm) -> None:
    status = create(without, "one", "sleep", "1000", tenant="lab")

    assert (status["state"], status["engine"], status["isolation"]) == ("running", "process", "process")
    (line,) = notices(without)
    assert "without a virtual machine" in line
    assert without.said.count("without a virtual machine") == 1


def test_without_kvm_others_are_not_started_and_are_told_what_is_missing(without: WithoutKvm) -> None:
    with pytest.raises(KvmError, match=r"/dev/kvm.*isolation = \"process\""):
        create(without, "one", "true", tenant="acme")


def test_without_kvm_the_command_line_warns_whoever_did_not_ask_for_it(without: WithoutKvm) -> None:
    chosen = without.run("run", "--tenant", "lab", "--", "echo", "out")
    asked = without.run("run", "--tenant", "lab", "--engine", "process", "--", "echo", "out")

    assert (chosen.stdout, asked.stdout, asked.stderr) == ("out\n", "out\n", "")
    assert "process (no VM)" in chosen.stderr
    assert chosen.stderr.count("\n") == 1


def test_without_kvm_a_floor_that_is_asked_for_by_hand_holds(without: WithoutKvm) -> None:
    done = without.run("run", "--tenant", "lab", "--isolation", "vm", "--", "true")

    assert done.returncode == 125
    assert "/dev/kvm" in done.stderr


def test_nobody_talks_a_tenant_into_less_than_its_floor(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(CONFIGURATION)

    with pytest.raises(QuotaExceeded, match=r"acme.*'vm'.*'process'"):
        create(daemon, "one", "true", tenant="acme", engine="process")
    done = daemon.run(
        "run", "--tenant", "acme", "--engine", "process", "--isolation", "process", "--", "true"
    )
    assert done.returncode == 125
    assert "acme" in done.stderr


@pytest.mark.kvm
def test_the_engine_is_chosen_for_each_start(without: WithoutKvm) -> None:
    create(without, "one", "sleep", "1000", tenant="lab")
    without.kill()
    without.kvm = True
    without.start()
    assert without.wait_state("one", "running")["engine"] == "process"  # it goes on as it was started

    again = act(without, "restart", "one")

    assert (again["engine"], again["isolation"], again["protections"]) == ("direct", "vm", None)


@pytest.mark.kvm
def test_where_there_is_kvm_auto_is_a_virtual_machine_whatever_the_floor(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(CONFIGURATION)

    assert create(daemon, "one", "sleep", "1000", tenant="lab")["engine"] == "direct"
    assert notices(daemon) == []


@pytest.mark.kvm
def test_a_reload_that_raises_a_floor_starts_again_what_is_below_it(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(LAB.format(floor="process"))
    create(daemon, "weak", "sleep", "1000", tenant="lab", engine="process")
    before = daemon.wait_state("configured", "running")
    daemon.config.write_text(LAB.format(floor="vm"))

    assert "restarted: lab/weak" in daemon.run("reload").stdout

    # It was asked for by its name, so that it cannot run at all any more; the other always was in a machine.
    assert "'process'" in daemon.wait_state("weak", "failed")["message"]
    assert daemon.instance("configured")["pid"] == before["pid"]


def test_in_the_foreground_too_the_floor_decides() -> None:
    refused, weaker = run("--", "true", kvm=False), run("--isolation", "process", "--", "true", kvm=False)

    assert refused.returncode == 125
    assert "--isolation process" in refused.stderr
    assert (weaker.returncode, weaker.stderr.count("\n")) == (0, 1)
    assert "without a virtual machine" in weaker.stderr


def test_in_the_foreground_the_weaker_engine_needs_the_floor_too() -> None:
    done = run("--engine", "process", "--", "true")

    assert done.returncode == 125
    assert "'process'" in done.stderr
    assert "'vm'" in done.stderr


def test_what_only_control_groups_could_hold_is_refused_in_the_foreground() -> None:
    options = ["--engine", "process", "--isolation", "process"]
    memory = run(*options, "--memory", "64M", "--", "true")
    pids = run(*options, "--pids", "10", "--", "bash", "-c", "ulimit -u")

    assert memory.returncode == 125
    assert "--memory" in memory.stderr
    assert "approximate" in pids.stderr
    assert pids.stdout == "11\n"  # one more for who answers its calls


def test_statistics_in_the_foreground_tell_what_nobody_counted() -> None:
    done = run("--engine", "process", "--isolation", "process", "--stats", "--", "true")

    assert "VM exits        n/a" in done.stderr
    assert "notified calls" in done.stderr
