"""Operators allow and deny calls of an instance that runs."""

import pytest

from kwhost.core.errors import Conflict
from tests.functional.hosting import Daemon, StartDaemon
from tests.functional.test_daemon_policies import configuration, events, no_mkdir, policy, wait_logged

pytestmark = pytest.mark.kvm


def set_call(daemon: Daemon, *words: str) -> None:
    done = daemon.run("policy", "set", "acme/job", *words)
    assert done.returncode == 0, done.stderr


def test_a_call_is_denied_and_allowed_while_the_program_runs(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(policy("own", ""), instance="own"))
    wait_logged(daemon, "made yes", "file yes")
    pid = daemon.instance("job")["pid"]

    set_call(daemon, "mkdir", "deny")
    wait_logged(daemon, "made yes", "file yes", "made no")
    assert "from here on" in daemon.run("policy", "show", "acme/job").stdout
    assert daemon.run("policy", "set", "acme/job").stdout.split() == ["SYSCALL", "ACTION", "mkdir", "deny"]

    set_call(daemon, "mkdir", "as-before")
    wait_logged(daemon, "made yes", "file yes", "made no", "made yes")
    assert daemon.instance("job")["pid"] == pid
    told = [event["text"] for event in events(daemon, "policy")]
    assert [text.rpartition(", by ")[0] for text in told] == [
        "mkdir is denied from here on",
        "mkdir is decided as before from here on",
    ]
    (entry, *_) = daemon.client.request("GET", "/v1/audit", {"instance": "acme/job"})
    assert entry["target"] == "acme/job: deny mkdir"


def test_what_was_chosen_holds_over_restarts_and_daemons(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(no_mkdir("own"), instance="own"))
    wait_logged(daemon, "made no", "file yes")
    set_call(daemon, "mkdir", "allow")
    wait_logged(daemon, "made no", "file yes", "made yes")

    daemon.kill()
    daemon.start()
    assert daemon.client.request("GET", "/v1/instances/job/policy/rules") == [
        {"call": "mkdir", "action": "allow"}
    ]
    assert daemon.run("reload").returncode == 0
    assert daemon.run("restart", "job").returncode == 0
    wait_logged(daemon, "made no", "file yes", "made yes", "made yes", "file yes")


def test_what_the_tenant_refuses_is_not_allowed_and_says_so(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(no_mkdir("closed"), tenant="closed"))
    wait_logged(daemon, "made no", "file yes")

    done = daemon.run("policy", "set", "acme/job", "mkdir", "allow")

    assert done.returncode != 0
    assert '"errno:EPERM mkdir" of tenant acme, from closed' in done.stderr
    assert daemon.client.request("GET", "/v1/instances/job/policy/rules") == []


def test_what_lies_beyond_the_ceiling_needs_a_restart(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(no_mkdir("own") + 'ceiling = "policy"\n', instance="own"))
    wait_logged(daemon, "made no", "file yes")
    path, body = "/v1/instances/job/policy/rules", {"call": "mkdir", "action": "allow"}

    with pytest.raises(Conflict, match="needs a restart"):
        daemon.client.request("PUT", path, body=body)
    assert daemon.client.request("GET", path) == []

    assert daemon.run("stop", "job").returncode == 0
    daemon.client.request("PUT", path, body=body)
    assert daemon.run("start", "job").returncode == 0
    wait_logged(daemon, "made no", "file yes", "made yes", "file yes")
