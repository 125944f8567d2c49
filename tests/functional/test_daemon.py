"""What the daemon makes of its instances' lives: starts, stops, restarts, health, dependencies, limits."""

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kwhost.core.errors import Conflict, LaunchError, NotFound, QuotaExceeded, UsageError
from tests.functional.daemon_requests import act, answer_to, create, kinds_of, log_of, remove, wait_log
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.patience import SECONDS

pytestmark = [pytest.mark.kvm, pytest.mark.root]

COUNT = "n=0; while :; do n=$((n + 1)); echo $n; sleep 0.02; done"
MIB = 1 << 20


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Daemon:
    return kwhostd()


@pytest.mark.hw
def test_an_instance_is_stopped_and_started_again(daemon: Daemon) -> None:
    first = create(daemon, "one", "sleep", "1000")
    stopped = act(daemon, "stop", "one")
    second = act(daemon, "start", "one")

    assert (first["state"], stopped["state"], second["state"]) == ("running", "exited", "running")
    assert (stopped["reason"], stopped["exit_code"], stopped["pid"]) == ("stopped", 143, None)
    assert first["pid"] != second["pid"]
    assert not Path(f"/proc/{first['pid']}").exists()
    assert kinds_of(daemon, "one") == [
        "created", "starting", "started", "stopping", "exited", "starting", "started"
    ]  # fmt: skip


def test_a_restart_is_a_new_run(daemon: Daemon) -> None:
    first = create(daemon, "one", "sleep", "1000")
    again = act(daemon, "restart", "one")

    assert again["state"] == "running"
    assert again["pid"] != first["pid"]
    assert again["started"] > first["started"]


@pytest.mark.slow
def test_who_was_restarted_is_left_alone_afterwards(daemon: Daemon) -> None:
    create(daemon, "one", "sleep", "1000", stop_timeout=0.0)
    again = act(daemon, "restart", "one")

    # Longer than a stop that failed would take until it kills.
    create(daemon, "clock", "sleep", "6")
    act(daemon, "wait", "clock")
    assert daemon.instance("one")["pid"] == again["pid"]


@pytest.mark.hw
def test_what_is_paused_stands_still(daemon: Daemon) -> None:
    create(daemon, "one", "sh", "-c", COUNT)
    create(daemon, "other", "sh", "-c", COUNT)
    wait_log(daemon, "one", 3)

    assert act(daemon, "pause", "one")["state"] == "paused"
    wait_log(daemon, "other", len(log_of(daemon, "other")) + 10)  # what was on its way has arrived
    before = log_of(daemon, "one")
    wait_log(daemon, "other", len(log_of(daemon, "other")) + 10)
    assert log_of(daemon, "one") == before

    assert act(daemon, "resume", "one")["state"] == "running"
    wait_log(daemon, "one", len(before) + 3)


def test_what_is_paused_can_be_stopped(daemon: Daemon) -> None:
    create(daemon, "one", "sleep", "1000")
    act(daemon, "pause", "one")

    assert act(daemon, "stop", "one")["exit_code"] == 143


@pytest.mark.parametrize(("operation", "state"), [("pause", "exited"), ("resume", "running")])
def test_operations_want_the_right_state(daemon: Daemon, operation: str, state: str) -> None:
    create(daemon, "one", "sleep", "1000" if state == "running" else "0")
    daemon.wait_state("one", state)

    with pytest.raises(Conflict, match=state):
        act(daemon, operation, "one")


def test_a_program_that_ignores_the_request_is_killed_in_time(daemon: Daemon) -> None:
    create(daemon, "deaf", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done", stop_timeout=0.1)
    wait_log(daemon, "deaf", 1)

    stopped = act(daemon, "stop", "deaf")

    assert (stopped["state"], stopped["reason"], stopped["exit_code"]) == ("exited", "stopped", 137)


@pytest.mark.parametrize("how", ["stop", "rm"])
def test_who_has_less_patience_does_not_wait_for_an_earlier_stop(daemon: Daemon, how: str) -> None:
    script = "trap '' TERM; echo up; while :; do sleep 1; done"
    create(daemon, "deaf", "sh", "-c", script, stop_timeout=10 * SECONDS)
    wait_log(daemon, "deaf", 1)
    with ThreadPoolExecutor(1) as patient:
        stopped = patient.submit(act, daemon, "stop", "deaf")
        daemon.wait_state("deaf", "stopping")

        if how == "stop":
            act(daemon, "stop", "deaf", timeout=0)
        else:
            remove(daemon, "deaf", force=True)

        assert stopped.result(SECONDS)


def test_kill_sends_the_signal(daemon: Daemon) -> None:
    create(daemon, "one", "sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.01; done")
    wait_log(daemon, "one", 1)

    act(daemon, "kill", "one", signal=int(signal.SIGUSR1))

    assert act(daemon, "wait", "one")["exit_code"] == 9


def test_a_running_instance_is_only_removed_by_force(daemon: Daemon) -> None:
    status = create(daemon, "one", "sleep", "1000")
    with pytest.raises(Conflict, match="force"):
        remove(daemon, "one")

    remove(daemon, "one", force=True)

    with pytest.raises(NotFound):
        daemon.instance("one")
    assert not Path(f"/proc/{status['pid']}").exists()
    assert list((daemon.state_dir / "instances").iterdir()) == []


def test_what_does_not_start_is_not_kept(daemon: Daemon) -> None:
    with pytest.raises(LaunchError, match="nonsense"):
        create(daemon, "one", "nonsense", restart="always")

    with pytest.raises(NotFound):
        daemon.instance("one")
    assert list((daemon.state_dir / "instances").iterdir()) == []


def test_no_image_leads_around_what_rootfs_may_name(daemon: Daemon) -> None:
    with pytest.raises(UsageError, match="rootfs"):
        create(daemon, "one", "cat", "/shadow", image="rootfs:/etc")


def test_what_fails_is_restarted_ever_later(daemon: Daemon) -> None:
    create(daemon, "bad", "sh", "-c", "exit 3", restart="on-failure")

    status = daemon.wait_state("bad", "crash-loop")

    assert (status["exit_code"], status["reason"]) == (3, "exited")
    assert status["restarts"] >= 3
    assert act(daemon, "stop", "bad")["state"] == "exited"


def test_success_is_final_unless_the_restart_is_for_always(daemon: Daemon) -> None:
    create(daemon, "job", "true", restart="on-failure")
    create(daemon, "service", "true", restart="always")

    assert act(daemon, "wait", "job")["restarts"] == 0
    eventually(lambda: daemon.instance("service")["restarts"] >= 2, "the second restart")
    assert daemon.instance("job")["state"] == "exited"


def test_what_depends_on_others_starts_once_they_are_healthy(kwhostd: StartDaemon) -> None:
    daemon = kwhostd("""
        [tenants.acme.instances.base]
        command = ["sh", "-c", "sleep 0.3; touch /tmp/ready; exec sleep 1000"]
        healthcheck = { command = ["test", "-e", "/tmp/ready"], interval = "100ms" }
        [tenants.acme.instances.user]
        command = "sleep 1000"
        depends_on = ["base"]
    """)

    daemon.wait_state("user", "running")

    assert daemon.instance("base")["health"] == "healthy"


def test_what_depends_on_a_failure_does_not_start(kwhostd: StartDaemon) -> None:
    daemon = kwhostd("""
        [tenants.acme.instances.base]
        command = "nonsense"
        [tenants.acme.instances.user]
        command = "sleep 1000"
        depends_on = ["base"]
        [tenants.acme.instances.last]
        command = "sleep 1000"
        depends_on = ["user"]
    """)

    assert "depends on base, which has failed" in daemon.wait_state("user", "failed")["message"]
    assert "depends on user, which has failed" in daemon.wait_state("last", "failed")["message"]


def test_a_reload_that_changes_both_starts_both_in_order(kwhostd: StartDaemon) -> None:
    text = """
        [tenants.acme.instances.base]
        command = "sleep 1000"
        [tenants.acme.instances.user]
        command = "sleep 1000"
        depends_on = ["base"]
    """
    daemon = kwhostd(text)
    daemon.wait_state("user", "running")
    daemon.config.write_text(text.replace("1000", "2000"))

    assert daemon.run("reload").returncode == 0

    user = eventually(lambda: (now := daemon.instance("user"))["restarts"] == 0 and now["pid"] and now)
    assert user["command"] == ["sleep", "2000"]
    assert user["started"] > daemon.instance("base")["started"]


def test_replicas_are_instances_of_their_own(kwhostd: StartDaemon) -> None:
    daemon = kwhostd("""
        [tenants.acme.instances.web]
        command = "sleep 1000"
        replicas = 2
    """)

    pids = {daemon.wait_state(name, "running")["pid"] for name in ("web-1", "web-2")}

    assert len(pids) == 2


@pytest.mark.parametrize(
    "target", [["tcp", ":8000"], ["http", "http://:8000/"], ["command", "test", "-e", "/tmp/ready"]]
)
def test_health_is_found_out(daemon: Daemon, target: list[str]) -> None:
    script = """
        cd /tmp; trap 'kill $!; rm ready' USR1
        python3 -m http.server --bind 127.0.0.1 8000 & touch ready; wait
        exec sleep 1000
    """
    check = {"kind": target[0], "target": target[1:], "interval": 0.1, "timeout": 5.0, "retries": 2}
    create(daemon, "one", "sh", "-c", script, healthcheck=check)
    eventually(lambda: daemon.instance("one")["health"] == "healthy", "healthy")

    act(daemon, "kill", "one", signal=int(signal.SIGUSR1))

    eventually(lambda: daemon.instance("one")["health"] == "unhealthy", "unhealthy")
    assert daemon.instance("one")["state"] == "running"
    assert kinds_of(daemon, "one")[-2:] == ["healthy", "unhealthy"]


@pytest.mark.parametrize("paused", [False, True])
def test_a_timeout_ends_the_instance(daemon: Daemon, paused: bool) -> None:
    create(daemon, "one", "sleep", "1000", timeout=3.0 if paused else 1.0)  # time enough to pause it
    if paused:
        act(daemon, "pause", "one")

    ended = act(daemon, "wait", "one")

    assert (ended["state"], ended["reason"], ended["exit_code"]) == ("exited", "timeout", 124)
    assert f"longer than {3 if paused else 1} s" in ended["message"]


@pytest.mark.hw
def test_more_memory_than_allowed_is_the_end(daemon: Daemon) -> None:
    limits = {"memory": 64 * MIB}
    create(daemon, "one", "python3", "-c", "b'x' * (150 << 20)", limits=limits)

    ended = act(daemon, "wait", "one")

    assert (ended["reason"], ended["exit_code"]) == ("memory", 137)


def test_a_limit_of_memory_that_is_too_small_for_the_start_is_named(daemon: Daemon) -> None:
    with pytest.raises(LaunchError, match="memory"):
        create(daemon, "one", "true", limits={"memory": 4096})


@pytest.mark.hw
def test_more_processes_than_allowed_are_refused(daemon: Daemon) -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & echo $i; done; wait"
    create(daemon, "one", "sh", "-c", script, limits={"pids": 5})

    assert act(daemon, "wait", "one")["exit_code"] == 2
    assert [line for line in log_of(daemon, "one") if line.isdecimal()] == ["1", "2", "3", "4"]
    assert any(re.search("fork", line) for line in log_of(daemon, "one"))


def test_what_has_ended_keeps_its_part_of_the_quota(kwhostd: StartDaemon) -> None:
    daemon = kwhostd("""
        [tenants.acme]
        pids = 10
    """)
    create(daemon, "one", "true", tenant="acme", limits={"pids": 8})
    act(daemon, "wait", "one")

    assert daemon.client.request("GET", "/v1/tenants/acme")["used"]["pids"] == 8
    with pytest.raises(QuotaExceeded, match="8 of 10 pids"):
        create(daemon, "two", "true", tenant="acme", limits={"pids": 8})


def test_beyond_the_quota_is_answered_with_429(kwhostd: StartDaemon) -> None:
    daemon = kwhostd("""
        [tenants.acme]
        memory = "100M"
    """)
    definition = {"tenant": "acme", "name": "one", "command": ["true"], "limits": {"memory": 200 * MIB}}

    status, answer = answer_to(daemon, "POST", "/v1/instances", definition)

    assert (status, answer["error"]["kind"]) == (429, "quota")
    assert "0 B of 100.0 MiB memory" in answer["error"]["message"]
    assert daemon.client.request("GET", "/v1/instances", {"all": True}) == []


@pytest.mark.hw
def test_guest_processes_and_threads_are_counted_as_the_guest_counts_them(daemon: Daemon) -> None:
    program = (
        "import os, threading, time\n"
        "for _ in range(3): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
        "if os.fork() == 0: time.sleep(1000)\n"
        "print('all there', flush=True); time.sleep(1000)\n"
    )
    create(daemon, "one", "python3", "-c", program)
    wait_log(daemon, "one", 1)

    def present() -> object:
        return answer_to(daemon, "GET", "/v1/instances/one/stats")[1]["usage"]["pids"]

    eventually(lambda: present() == 5)
    act(daemon, "pause", "one")
    assert present() == 5, "also where KVM's workers had to leave the group that is frozen"
