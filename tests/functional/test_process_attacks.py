"""Attacks on what starts programs where there is no virtual machine, and on what decides for them.

What joins an instance is attacked on both engines: test_join.py, test_join_attacks.py; the filter by
tests/hostile/filters.c.
"""

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kwhost.core.abi.messages import EventType
from tests.conftest import RunKwhost
from tests.engine.workshop import open_workshop
from tests.functional.hosted import HostedInstance, wait_until
from tests.functional.policies import EXECUTE, READ, WRITE, ByHand
from tests.functional.test_join import Joined, first_of

EPERM = 1
PROCESS = ("--engine", "process", "--isolation", "process")


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path) -> Iterator[HostedInstance]:
    for name in ("kill", "mkdir", "ps", "test"):
        (busybox_root / "bin" / name).symlink_to("busybox")
    (busybox_root / "tmp").mkdir()
    hosted = HostedInstance(tmp_path, busybox_root, virtual=False)
    yield hosted
    hosted.close()


@pytest.mark.parametrize("arguments", [[], ["supervise", "3"], ["init", "1"]])
@pytest.mark.parametrize("trap", ["#!/proc/self/exe", "link"])
def test_a_first_program_that_is_the_runtime_changes_nothing(
    trap: str, arguments: Sequence[str], run_kwhost: RunKwhost, busybox_root: Path, monitor_path: Path
) -> None:
    """CVE-2019-5736, as the instance's own program: it runs in the jail what started it."""
    before = hashlib.sha256(monitor_path.read_bytes()).digest()
    program = busybox_root / "bin/trap"
    if trap == "link":
        program.symlink_to("/proc/self/exe")
    else:
        program.write_text(f"{trap}\n")
        program.chmod(0o755)

    done = run_kwhost([*PROCESS, "--rootfs", str(busybox_root), "--", "trap", *arguments])

    assert done.returncode != 0
    assert hashlib.sha256(monitor_path.read_bytes()).digest() == before
    assert run_kwhost([*PROCESS, "--rootfs", str(busybox_root), "--", "sh", "-c", "exit 7"]).returncode == 7


def test_no_program_of_the_runtime_s_can_be_written(
    run_kwhost: RunKwhost, busybox_root: Path, monitor_path: Path
) -> None:
    """CVE-2019-5736, the other half: a descriptor of it for reading, opened anew for writing."""
    before = hashlib.sha256(monitor_path.read_bytes()).digest()
    (busybox_root / "bin/trap").symlink_to("/proc/self/exe")
    script = (
        "exec 9</proc/self/exe; for n in 1 2 3 4 5 6 7 8 9 10; do trap & for p in /proc/[0-9]*; do"
        " echo x >$p/exe; done; echo x >/proc/self/fd/9; done 2>/dev/null; wait; echo over"
    )

    done = run_kwhost([*PROCESS, "--rootfs", str(busybox_root), "--read-only", "--", "sh", "-c", script])

    assert (done.returncode, done.stdout) == (0, "over\n")
    assert hashlib.sha256(monitor_path.read_bytes()).digest() == before


@pytest.mark.hw
def test_who_decides_is_out_of_sight_and_reach(instance: HostedInstance) -> None:
    """Not even the instance's root can kill it, or any of its workers."""
    policy = ByHand().call("mkdir", "ERRNO", EPERM)
    instance.shell(
        "mkdir /tmp/new; echo $?; ps -o comm; kill -9 -1; mkdir /tmp/new; echo $?; echo over",
        policy=policy.compiled(),
    )
    wait_until(lambda: instance.logged().endswith("over\n"))
    lines = instance.logged().splitlines()

    assert lines[0] == lines[-2] == "1"
    assert set(lines[1:-2]) <= {"COMMAND", "sh", "ps"}
    assert not (instance.dirs.state / "new").exists()
    assert instance.wait().status == 0


@pytest.mark.hw
def test_a_stranger_s_listener_answers_nobody(instance: HostedInstance) -> None:
    """What joins has a filter of its own, which asks the same one that the first program's does."""
    instance.shell("echo up; sleep 1000; :", policy=ByHand().call("mkdir", "ERRNO", EPERM).compiled())
    wait_until(lambda: instance.logged() == "up\n")

    joined = Joined(instance, ["sh", "-c", "mkdir /tmp/new; echo $?; test -e /tmp/new; echo $?"])

    assert joined.finish()[:2] == (0, "1\n1\n")
    joined.close()
    assert _filters(first_of(instance)) == 1


def _filters(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [number] = (line.split()[1] for line in lines if line.startswith("Seccomp_filters:"))
    return int(number)


def broker_of(instance: HostedInstance) -> int:
    """Once it has given itself its name."""
    assert instance.process
    children = Path(f"/proc/{instance.process.pid}/task/{instance.process.pid}/children")

    def brokers() -> list[str]:
        return [pid for pid in children.read_text().split() if _name(pid) == "kw-broker"]

    [broker] = wait_until(brokers)
    return int(broker)


def _name(pid: str) -> str:
    return Path(f"/proc/{pid}/comm").read_text().rstrip()


@pytest.mark.hw
def test_without_who_decides_nothing_goes_on(instance: HostedInstance) -> None:
    instance.shell("echo up; sleep 1000; :")
    client = instance.connect()
    wait_until(lambda: instance.logged() == "up\n")

    os.kill(broker_of(instance), signal.SIGKILL)

    assert "the instance's broker was killed" in client.event(EventType.FAILED).text


@pytest.mark.hw
def test_a_program_that_does_not_follow_its_parent_ends_with_the_instance(
    instance: HostedInstance, busybox_root: Path
) -> None:
    """Whoever ends it otherwise is killed first, and who sees to them stands still."""
    workshop = open_workshop()
    program = workshop.build(Path(__file__).with_name("relied.c"))
    shutil.copy(workshop.folder / Path(program).name, busybox_root / "bin/relied")
    instance.start("/bin/relied", "alone")
    wait_until(lambda: instance.logged() == "alone\n")
    first, broker = first_of(instance), broker_of(instance)
    assert instance.process

    os.kill(instance.process.pid, signal.SIGSTOP)
    os.kill(broker, signal.SIGKILL)
    os.kill(instance.process.pid, signal.SIGKILL)

    wait_until(lambda: not Path(f"/proc/{first}").exists())


@pytest.mark.slow
def test_however_many_files_there_are_others_can_join(instance: HostedInstance, busybox_root: Path) -> None:
    """Beside an exception from executing each file is granted by itself."""
    everything = READ | WRITE | EXECUTE
    policy = ByHand().path("/**", everything).path("/tmp/data/**", READ | WRITE)
    for number in range(17_000):
        (busybox_root / f"tmp/{number}").touch()
    instance.shell("echo up; sleep 1000; :", policy=policy.compiled())
    wait_until(lambda: instance.logged() == "up\n")

    joined = Joined(instance, ["sh", "-c", "exit 7"])

    assert joined.finish()[0] == 7
    joined.close()
