"""Calls that the broker makes for programs and that wait: they hold up nobody, and end as without it."""

import shutil
from pathlib import Path

import pytest

from tests.engine.workshop import open_workshop
from tests.functional.hosted import HostedInstance, New, wait_until
from tests.functional.hosting import StartDaemon, eventually
from tests.functional.policies import ByHand
from tests.functional.test_process_policies import broker_of, children

RULES = ByHand().path("/etc/**", 4).compiled()  # rules about files: the broker opens them, and sends messages


@pytest.fixture
def instance(new: New, busybox_root: Path) -> HostedInstance:
    workshop = open_workshop()
    program = workshop.build(Path(__file__).with_name("waiting.c"))
    shutil.copy(workshop.folder / Path(program).name, busybox_root / "bin/waiting")
    (busybox_root / "tmp").mkdir()
    (busybox_root / "tmp").chmod(0o777)  # before Linux 6.3 temporary files belong to nobody inside
    return new(virtual=False)


def start(instance: HostedInstance, *arguments: str) -> None:
    instance.start("/bin/waiting", *arguments, interactive=True, policy=RULES)


def printed(instance: HostedInstance) -> list[str]:
    assert instance.wait().status == 0, instance.log()
    return [line.text for line in instance.log()]


@pytest.mark.parametrize(
    ("what", "count", "last"),
    [("readers", 500, ["a writer: ok", "freed: 500"]), ("senders", 200, ["sent: 200"])],
)
def test_however_many_wait_others_go_on(
    instance: HostedInstance, what: str, count: int, last: list[str]
) -> None:
    start(instance, what, str(count))
    broker = broker_of(instance)
    wait_until(lambda: len(children(broker)) == count)

    instance.say("go\n")

    assert printed(instance) == ["a file: ok", *last]


CONFIGURATION = '''
[policies.own]
base = "default"
files = [{ path = "/**", access = "rwx" }, { path = "/etc/shells", access = "" }]
[tenants.acme]
isolation = "process"
[tenants.acme.instances.job]
engine = "process"
command = ["sh", "-c", """
mkfifo /tmp/pipe
for i in $(seq 150); do (: < /tmp/pipe) & done
echo all
wait
echo freed
sleep 1000"""]
policy = "own"
'''


def test_programs_join_an_instance_of_which_many_wait(kwhostd: StartDaemon) -> None:
    daemon = kwhostd(CONFIGURATION)
    eventually(lambda: daemon.run("logs", "job").stdout == "all\n", "readers")

    assert daemon.run("exec", "job", "--", "sh", "-c", ": > /tmp/pipe; echo written").stdout == "written\n"

    def all_are_freed() -> bool:
        """Some may have been on their way to the pipe when it was written to."""
        daemon.run("exec", "job", "--", "sh", "-c", ": <> /tmp/pipe")
        return bool(daemon.run("logs", "job").stdout == "all\nfreed\n")

    eventually(all_are_freed, "their end")


@pytest.mark.hw
@pytest.mark.parametrize("waits", ["first", "another"])
def test_signals_that_any_thread_may_take_end_no_call_that_they_restart(
    instance: HostedInstance, waits: str
) -> None:
    start(instance, "signalled", waits)

    assert printed(instance) == ["opened: ok", "the other: 1"]
