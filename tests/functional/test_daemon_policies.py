"""Policies of hosted instances: who has one, what it refuses, and how it changes while programs run."""

import signal
from typing import Any

import pytest

from tests.functional.hosting import Daemon, StartDaemon, eventually

pytestmark = pytest.mark.kvm

# Tries a call again and again, and writes each outcome that differs from the one before.
TRIES = (
    "before=; while :; do "
    "for name in made file; do "
    "if [ $name = made ]; then mkdir /tmp/made; else : > /tmp/file; fi 2>/dev/null && now=yes || now=no; "
    "rmdir /tmp/made 2>/dev/null; eval was=\\$$name; "
    'if [ "$was" != $now ]; then echo $name $now; eval $name=$now; fi; done; '
    "read -t 0.05 nothing < /dev/zero; done"
)


def configuration(policies: str, *, tenant: str = "", instance: str = "", command: str = TRIES) -> str:
    quoted = command.replace("\\", "\\\\").replace('"', '\\"')
    own = f'policy = "{tenant}"\n' if tenant else ""
    named = f'policy = "{instance}"\n' if instance else ""
    return (
        f"{policies}\n[tenants.acme]\n{own}"
        f'[tenants.acme.instances.job]\ncommand = ["bash", "-c", "{quoted}"]\n{named}'
    )


def policy(name: str, body: str) -> str:
    return f'[policies.{name}]\nbase = "default"\n{body}\n'


def no_mkdir(name: str = "closed") -> str:
    return policy(name, 'syscalls = { deny = ["mkdir"] }')


def events(daemon: Daemon, kind: str) -> list[dict[str, Any]]:
    """Of that kind, oldest first."""
    found = [event.data for event in daemon.client.events("/v1/events")]
    return [event for event in found if event["kind"] == kind]


def wait_event(daemon: Daemon, kind: str, **data: str) -> dict[str, Any]:
    """The first event of a kind whose data has that in it."""

    def find() -> dict[str, Any] | None:
        return next((each for each in events(daemon, kind) if each["data"].items() >= data.items()), None)

    found: dict[str, Any] = eventually(find, f"an event {kind} with {data}")
    return found


def wait_logged(daemon: Daemon, *lines: str) -> None:
    """Until the program has written exactly these lines."""
    eventually(lambda: daemon.run("logs", "job").stdout.split("\n")[:-1] == list(lines), f"{lines}")


def reload(daemon: Daemon, text: str) -> str:
    daemon.config.write_text(text)
    done = daemon.run("reload")
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_the_policies_of_the_tenant_and_of_the_instance_both_hold(kwhostd: StartDaemon) -> None:
    no_writing = policy(
        "reader", 'files = [{ path = "/tmp/**", access = "r" }, { path = "/tmp/made", access = "rw" }]'
    )
    daemon = kwhostd(configuration(no_mkdir() + no_writing, tenant="closed", instance="reader"))

    wait_logged(daemon, "made no", "file no")
    view = daemon.client.request("GET", "/v1/instances/job/policy")
    assert [(layer["name"], layer["policy"]) for layer in view["layers"]] == [
        ("tenant acme", "closed"),
        ("instance", "reader"),
    ]


def test_a_denied_call_becomes_an_event_and_is_counted(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(no_mkdir(), tenant="closed"))

    event = wait_event(daemon, "denied", call="mkdir")

    assert event["tenant"] == "acme"
    assert event["name"] == "job"
    data = event["data"]
    assert data["rule"] == "errno:EPERM mkdir"
    assert (data["layer"], data["policy"], data["error"]) == ("tenant acme", "closed", "EPERM")
    assert data["arguments"].split()[1] == "0x1ff"
    assert int(data["pid"]) > 1
    assert 'by "errno:EPERM mkdir" of tenant acme (closed): EPERM' in event["text"]
    layer = daemon.client.request("GET", "/v1/instances/job/policy")["layers"][0]
    rule = next(rule for rule in layer["rules"] if rule["text"] == "errno:EPERM mkdir")
    assert rule["hits"] >= rule["denied"] >= 1
    assert "errno:EPERM mkdir" in daemon.run("policy", "show", "acme/job").stdout


def test_many_denied_calls_make_few_events(kwhostd: StartDaemon) -> None:
    loop = "for i in {1..300}; do mkdir /tmp/made; done 2>/dev/null"
    daemon = kwhostd(configuration(no_mkdir(), instance="closed", command=loop))

    daemon.wait_state("job", "exited")

    told = [event["data"] for event in events(daemon, "denied") if event["data"].get("call") == "mkdir"]
    assert 1 <= len(told) < 50
    assert sum("count" in data for data in told) >= 1


def test_a_reload_narrows_and_widens_while_the_program_runs(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(policy("own", "")))
    wait_logged(daemon, "made yes", "file yes")
    before = daemon.instance("job")["pid"]

    said = reload(daemon, configuration(no_mkdir("own"), instance="own"))
    wait_logged(daemon, "made yes", "file yes", "made no")
    assert "has a changed policy, still running: acme/job" in said

    reload(daemon, configuration(policy("own", ""), instance="own"))
    wait_logged(daemon, "made yes", "file yes", "made no", "made yes")
    assert daemon.instance("job")["pid"] == before


def test_a_change_beyond_the_ceiling_waits_for_a_restart(kwhostd: StartDaemon) -> None:
    narrow = no_mkdir("own") + 'ceiling = "policy"\n'
    daemon = kwhostd(configuration(narrow, instance="own"))
    wait_logged(daemon, "made no", "file yes")

    said = reload(daemon, configuration(policy("own", ""), instance="own"))

    assert "keeps its policy: acme/job: needs a restart: " in said
    assert "needs a restart" in wait_event(daemon, "policy")["text"]
    assert daemon.run("restart", "job").returncode == 0
    wait_logged(daemon, "made no", "file yes", "made yes", "file yes")


def test_after_the_daemon_was_killed_rules_have_their_names_and_the_ceiling_holds(
    kwhostd: StartDaemon,
) -> None:
    narrow = no_mkdir("own") + 'ceiling = "policy"\n'
    daemon = kwhostd(configuration(narrow, instance="own"))
    wait_logged(daemon, "made no", "file yes")
    running = daemon.instance("job")["pid"]

    daemon.signal(signal.SIGKILL)
    before = no_mkdir("own") + 'ceiling = "policy"\nfiles = [{ path = "/tmp/file", access = "r" }]\n'
    daemon.config.write_text(configuration(before, instance="own"))
    daemon.start()

    wait_logged(daemon, "made no", "file yes", "file no")
    assert daemon.instance("job")["pid"] == running
    adopted = next(event["seq"] for event in events(daemon, "adopted"))
    told = eventually(
        lambda: [
            event["data"]
            for event in events(daemon, "denied")
            if event["seq"] > adopted and "call" in event["data"]
        ]
    )
    assert told[0]["rule"] in ("errno:EPERM mkdir", "r /tmp/file")
    assert "needs a restart" in reload(daemon, configuration(policy("own", ""), instance="own"))


def test_mistakes_in_policies_are_told_with_all_others_and_change_nothing(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(no_mkdir(), instance="closed"))
    wait_logged(daemon, "made no", "file yes")

    wrong = policy("closed", 'syscalls = { deny = ["mkdr"] }\nfiles = [{ path = "tmp", access = "rwz" }]')
    daemon.config.write_text(configuration(wrong, instance="closd") + "memory = 'much'\n")
    done = daemon.run("reload")

    assert done.returncode != 0
    for part in (
        "policies.closed.syscalls.deny[0]: there is no system call 'mkdr'; did you mean mkdir?",
        "policies.closed.files[0].path: ",
        "policies.closed.files[0].access: ",
        "tenants.acme.instances.job.policy: there is no policy closd; did you mean closed?",
        "tenants.acme.instances.job.memory: ",
    ):
        assert part in done.stderr
    assert "errno:EPERM mkdir" in daemon.run("policy", "show", "acme/job").stdout


def test_a_policy_file_comes_along_with_a_run(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(no_mkdir("base"))
    file = daemon.directory / "mine.toml"
    file.write_text('base = "base"\nsyscalls = { deny = ["rmdir"] }\n')

    done = daemon.run("run", "--rm", "--policy", str(file), "--", "sh", "-c", "mkdir /tmp/a; rmdir /tmp")
    assert done.stderr.count("Operation not permitted") == 2

    file.write_text("syscalls = { deny = ['mkdr'] }\nbas = 'base'\n")
    done = daemon.run("run", "--rm", "--policy", str(file), "--", "true")
    assert "mine.toml:1: syscalls.deny[0]: there is no system call 'mkdr'" in done.stderr
    assert "mine.toml:2: bas: unknown key; did you mean base?" in done.stderr
    assert daemon.client.request("GET", "/v1/instances", {"all": True}) == []


def test_explain_knows_all_layers_of_an_instance(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(no_mkdir(), tenant="closed"))
    daemon.wait_state("job", "running")

    said = daemon.run("policy", "explain", "acme/job", "mkdir", "/tmp/x", "0777").stdout

    assert said.startswith("mkdir(0, 777) of /tmp/x: errno:EPERM\n  by the rule: errno:EPERM mkdir\n")
    assert "layer tenant acme:" in said
    assert "layer instance:" in said
