"""Calls that the broker makes for programs without a virtual machine: what they mean is the caller's, and
what was judged is what is done."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwhost.core.abi.messages import EventType, replace_policy
from kwhost.core.engines.kernel_version import kernel_version
from kwhost.core.engines.launch import sealed_record
from tests.engine.ways import PROCESS
from tests.engine.workshop import open_workshop
from tests.functional.hosted import HostedInstance
from tests.functional.policies import EXECUTE, READ, WRITE, ByHand
from tests.patience import SECONDS

EPERM, EACCES = 1, 13
# Whether the kernel can seal memory against being executed (MFD_NOEXEC_SEAL).
SEALS_MEMORY = kernel_version(os.uname().release) >= (6, 3)


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path) -> Iterator[HostedInstance]:
    """One with the program `performed`, and files of which some are refused."""
    workshop = open_workshop()
    program = workshop.build(Path(__file__).with_name("performed.c"))
    shutil.copy(workshop.folder / Path(program).name, busybox_root / "bin/performed")
    tmp = busybox_root / "tmp"
    for name in ("", "kept", "one"):
        (tmp / name).mkdir()
        (tmp / name).chmod(0o777)
    for name, text in (("open", "open"), ("priv", "secret"), ("one/file", "open"), ("kept/file", "secret")):
        (tmp / name).write_text(text)
    hosted = HostedInstance(tmp_path, busybox_root, virtual=False)
    yield hosted
    hosted.close()


def careful() -> ByHand:
    """/tmp is read and written, but for /tmp/priv and /tmp/kept; nothing is executed outside of /bin."""
    policy = ByHand().other_paths(0, ("ERRNO", EACCES, 9))
    policy.path("/bin/**", READ | EXECUTE).path("/proc/**", READ).path("/dev/**", READ | WRITE)
    policy.path("/tmp/**", READ | WRITE).path("/tmp/priv", 0).path("/tmp/kept/**", 0)
    policy.other_addresses(("ERRNO", EPERM, 3), ("ALLOW", 0, 0))
    return policy.network("TO", "127.0.0.0/8", (8080, 8080), ("ALLOW", 0, 0), protocol=17)


def ran(instance: HostedInstance, what: str, policy: ByHand | None = None) -> list[str]:
    """What the program prints."""
    instance.start("/bin/performed", what, policy=(policy or careful()).compiled())
    assert instance.wait().status == 0, instance.log()
    return [line.text for line in instance.log()]


@pytest.mark.hw
def test_links_of_proc_are_the_callers(instance: HostedInstance) -> None:
    assert ran(instance, "links") == [
        "by its name: EACCES",
        "held: EACCES",
        "held, for a thread: EACCES",
        "held, by its number: EACCES",
        "beneath the root: EACCES",
        "beneath a directory: EACCES",
        "here: EACCES",
        "of the parent: ENOENT",
        "the other, held: ok",
        "the other, beneath a directory: ok",
        "the other, here: ok",
        "itself: ok",
        "no such descriptor: ENOENT",
        "of a thread: ok",
        "the other, not dumpable: ok",
        "standard input: ok",
    ]


@pytest.mark.hw
def test_limits_of_openat2_hold(instance: HostedInstance) -> None:
    assert ran(instance, "limits") == [
        "beneath: ok",
        "out of it: EXDEV",
        "as the root: ok",
        "refused as the root: EACCES",
        "by no link: ELOOP",
        "made: ok",
        "refused to be made: EACCES",
        "without any: ok",
        "held alone: ENOSYS",
        "unknown flags: EINVAL",
    ]


@pytest.mark.hw
def test_opening_a_pipe_waits_and_ends_with_a_signal(instance: HostedInstance) -> None:
    assert ran(instance, "waits") == [
        "interrupted: EINTR",
        "nobody there: ENXIO",
        "killed: ok",
        "read: x",
    ]


def test_a_file_grows_as_far_as_its_callers_limit_says(instance: HostedInstance) -> None:
    assert ran(instance, "grow") == ["as long: ok", "longer: EFBIG", "shorter: ok", "told: 1"]


def test_what_was_put_where_all_may_write_is_not_taken_for_new(instance: HostedInstance) -> None:
    assert ran(instance, "planted") == [
        "its own: ok",
        "the directory's owner's: ok",
        "another's: EACCES",
        "another's, as it is: ok",
    ]


@pytest.mark.hw
def test_calls_are_made_as_their_caller(instance: HostedInstance, busybox_root: Path) -> None:
    group = busybox_root / "tmp/group"
    group.write_text("")
    group.chmod(0o640)
    os.chown(group, 0, 0)

    assert ran(instance, "identity") == [
        "made: 1000 1000 640",
        "of root: EACCES",
        "mode of root's: EPERM",
        "owner: EPERM",
        "another group: ok",
        "no group of its: EPERM",
        "of the group: EACCES",
    ]


@pytest.mark.hw
def test_memory_is_not_executed_where_it_may_not_be(instance: HostedInstance) -> None:
    policy = careful().path("/memfd:*", READ | WRITE)

    refused = ["made: ok", "executable: EPERM", "ran: EACCES"] if SEALS_MEMORY else ["made: EINVAL"]
    assert ran(instance, "descend", policy) == refused


@pytest.mark.hw
def test_memory_is_executed_where_it_may_be(instance: HostedInstance) -> None:
    policy = careful().path("/memfd:*", READ | WRITE | EXECUTE)

    assert ran(instance, "descend", policy) == ["made: ok", "executable: ok", "ran: ok"]


@pytest.mark.hw
@pytest.mark.slow
@pytest.mark.parametrize("what", ["swapped-link", "swapped-directory", "swapped-socket"])
def test_what_a_descriptor_stands_for_is_looked_at_once(instance: HostedInstance, what: str) -> None:
    assert ran(instance, what) == ["went well, won 0"]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["swapped-link", "swapped-directory", "swapped-socket"])
def test_where_everything_is_permitted_the_races_are_won(instance: HostedInstance, what: str) -> None:
    """Else the others would prove nothing."""
    (line,) = ran(instance, what, ByHand())

    assert line.startswith("went well, won ")
    assert not line.endswith(" 0")


def shell(instance: HostedInstance, policy: ByHand, script: str) -> list[str]:
    """What the script prints."""
    instance.shell(script, policy=policy.compiled())
    assert instance.wait().status == 0, instance.log()
    return [line.text for line in instance.log()]


@pytest.mark.hw
def test_exceptions_from_executing_hold_beneath_what_is_granted(
    instance: HostedInstance, busybox_root: Path
) -> None:
    for name in ("srv", "srv/in", "srv/in/deep"):
        (busybox_root / name).mkdir()
        (busybox_root / name).chmod(0o777)  # before Linux 6.3 temporary files belong to nobody inside
    (busybox_root / "bin/cp").symlink_to("busybox")
    everything = READ | WRITE | EXECUTE
    policy = ByHand().path("/**", everything).path("/srv/in/**", READ | WRITE).path("/tmp/true", READ | WRITE)

    assert shell(
        instance,
        policy,
        "for to in /tmp/other /tmp/true /tmp/one/true /srv/in/true /srv/in/deep/true; do\n"
        "cp /bin/busybox $to; $to true 2>/dev/null; echo $to $?; done",
    ) == [
        "/tmp/other 126",  # made anew beside an exception
        "/tmp/true 126",
        "/tmp/one/true 0",
        "/srv/in/true 126",
        "/srv/in/deep/true 126",
    ]


@pytest.mark.hw
@pytest.mark.parametrize(("access", "answer"), [(READ, 0), (READ | WRITE | EXECUTE, EPERM)])
def test_what_may_be_executed_stays(instance: HostedInstance, access: int, answer: int) -> None:
    other = careful().path("/tmp/one/**", access)
    instance.shell("read go", interactive=True, policy=careful().compiled())
    client = instance.connect()
    client.started()
    fd = sealed_record(other.compiled())

    client.send(replace_policy(), fd)
    said = client.event(EventType.POLICY)
    os.close(fd)

    assert said.value == answer
    assert said.text.startswith("needs a restart: rules on what may be executed" if answer else "")


def test_a_rule_that_landlock_cannot_keep_is_named(kwhost_command: list[str], tmp_path: Path) -> None:
    policy = tmp_path / "own.toml"
    policy.write_text("base = 'default'\nfiles = [{ path = '/srv/**/cgi', access = 'r' }]\n")

    done = subprocess.run(
        [*kwhost_command, "run", *PROCESS.options, "--policy", str(policy), "--", "/bin/true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 125
    assert "has no rules on executing what may be anywhere" in done.stderr
    assert "own.toml:2: files[0]: r /srv/**/cgi" in done.stderr
