"""Policies that change while programs of the engine `process` run: within what these ask about."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwhost.core.abi.messages import EventType, replace_policy
from kwhost.core.engines.launch import sealed_record
from kwhost.core.policy.compile import compile_layers
from tests.functional.hosted import HostedInstance
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.unit.policy_parts import in_layer, policy_from

pytestmark = pytest.mark.root

TRIES = (
    "was=; while :; do mkdir /tmp/made 2>/dev/null && now=yes || now=no; rmdir /tmp/made 2>/dev/null; "
    'if [ "$was" != $now ]; then echo $now; was=$now; fi; read -t 0.05 nothing < /dev/zero; done'
)


def configuration(syscalls: str) -> str:
    quoted = TRIES.replace("\\", "\\\\").replace('"', '\\"')
    return (
        f'[policies.own]\nbase = "default"\nsyscalls = {{ {syscalls} }}\n'
        '[tenants.acme]\nisolation = "process"\n'
        '[tenants.acme.instances.job]\nengine = "process"\npolicy = "own"\n'
        f'command = ["bash", "-c", "{quoted}"]\n'
    )


def wait_logged(daemon: Daemon, *lines: str) -> None:
    eventually(lambda: daemon.run("logs", "job").stdout.split() == list(lines), f"{lines}")


def reload(daemon: Daemon, text: str) -> str:
    daemon.config.write_text(text)
    done = daemon.run("reload")
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_what_programs_ask_about_changes_while_they_run(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration('deny = ["mkdir"]'))
    wait_logged(daemon, "no")
    running = daemon.instance("job")["pid"]

    assert "has a changed policy, still running: acme/job" in reload(daemon, configuration(""))
    wait_logged(daemon, "no", "yes")
    reload(daemon, configuration('log = ["mkdir"]'))
    reload(daemon, configuration('deny = ["mkdir"]'))
    wait_logged(daemon, "no", "yes", "no")

    assert daemon.instance("job")["pid"] == running


def test_what_they_do_without_asking_needs_a_restart(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(configuration(""))
    wait_logged(daemon, "yes")

    said = reload(daemon, configuration('deny = ["mkdir"]'))

    assert "keeps its policy: acme/job: needs a restart: " in said
    assert "errno:EPERM mkdir is about what running programs do without asking" in said
    assert daemon.run("restart", "job").returncode == 0
    wait_logged(daemon, "yes", "no")


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path) -> Iterator[HostedInstance]:
    instance = HostedInstance(tmp_path, busybox_root, virtual=False)
    yield instance
    instance.close()


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        ("", "syscalls = { deny = ['ptrace'] }", "rules on ptrace"),
        ("", "files = [{ path = '/srv/**', access = 'r' }]", "rules on files"),
        ("", "network = [{ to = 'any', action = 'deny' }]", "rules on addresses"),
        ("syscalls = { deny = ['ptrace'] }", "", ""),
    ],
)
def test_supervise_sees_to_it_too(instance: HostedInstance, before: str, after: str, answer: str) -> None:
    tables = [
        compile_layers(in_layer(policy_from("default = 'allow'\n" + body))).data for body in (before, after)
    ]
    instance.shell("read go", interactive=True, policy=tables[0])
    client = instance.connect()
    client.started()
    fd = sealed_record(tables[1])

    client.send(replace_policy(), fd)

    os.close(fd)
    event = client.event(EventType.POLICY)
    said = f"needs a restart: {answer} that running programs do not ask about" if answer else ""
    assert (event.value, event.text) == (errno.EPERM if answer else 0, said)
