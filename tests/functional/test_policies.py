"""What a policy does to the calls of a running instance: policies made by hand, real programs."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.messages import EventType, hello, replace_policy
from kwhost.core.engines.launch import sealed_record
from kwhost.core.hostcheck.kernel import landlock_version
from kwhost.core.model.instance import TerminalSize
from tests.engine.workshop import open_workshop
from tests.functional.hosted import Client, HostedInstance, wait_until
from tests.functional.policies import EXECUTE, READ, WRITE, ByHand, number_of

pytestmark = pytest.mark.kvm

EPERM, EAGAIN, EACCES = 1, 11, 13
TCGETS = 0x5401
ALLOW = ("ALLOW", 0, 0)
COMMANDS = "cat mkdir rm mv ln chmod touch cp echo true head sethostname readlink".split()

Run = Callable[..., HostedInstance]


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path, virtual: bool) -> Iterator[HostedInstance]:
    """One with the program `policies`, and a /tmp with a file that may be read and one that may not."""
    workshop = open_workshop()
    program = workshop.build(Path(__file__).with_name("policies.c"))
    shutil.copy(workshop.folder / Path(program).name, busybox_root / "bin/policies")
    for name in COMMANDS:
        if not (busybox_root / "bin" / name).is_symlink():
            (busybox_root / "bin" / name).symlink_to("busybox")
    for name in ("tmp", "tmp/kept", "tmp/loose"):
        (busybox_root / name).mkdir()
        (busybox_root / name).chmod(0o777)
    for name, text in (("open", "open\n"), ("priv", "secret\n"), ("kept/file", ""), ("loose/file", "")):
        (busybox_root / "tmp" / name).write_text(text)
    hosted = HostedInstance(tmp_path, busybox_root, virtual=virtual)
    yield hosted
    hosted.close()


def ran(instance: HostedInstance, policy: ByHand, *argv: str) -> list[str]:
    """What a program printed, both streams; it ended well."""
    instance.start(*argv, policy=policy.compiled())
    assert instance.wait().status == 0, instance.log()
    return [line.text for line in instance.log()]


def shell(instance: HostedInstance, policy: ByHand, script: str) -> list[str]:
    """Of two streams the lines would come in any order."""
    return ran(instance, policy, "/bin/sh", "-c", f"exec 2>&1\n{script}")


def careful() -> ByHand:
    """Nothing but what is named: programs, /etc for reading, /tmp but for one file."""
    policy = ByHand().other_paths(0, ("ERRNO", EACCES, 9))
    policy.path("/bin/**", READ | EXECUTE).path("/etc/**", READ).path("/proc/**", READ)
    policy.path("/dev/**", READ | WRITE).path("/tmp/**", READ | WRITE, ("ERRNO", EACCES, 3))
    return policy.path("/tmp/priv", 0, ("ERRNO", EACCES, 4)).path("/tmp/kept/**", READ)


def test_a_denied_call_gives_its_errno(instance: HostedInstance) -> None:
    printed = shell(instance, ByHand().call("mkdir", "ERRNO", EPERM), "mkdir /tmp/new; echo $?")

    assert printed == ["mkdir: can't create directory '/tmp/new': Operation not permitted", "1"]


def test_arguments_are_judged_as_the_kernel_sees_them(instance: HostedInstance) -> None:
    policy = ByHand().call("ioctl", "ERRNO", EPERM).argument("ioctl", 1, TCGETS, ALLOW)

    instance.start("/bin/policies", "requests", policy=policy.compiled(), terminal=TerminalSize(24, 80))

    assert instance.wait().status == 0
    assert instance.logged().split("\n")[:-1] == [
        "TCGETS: ok\r",
        "TIOCSTI: EPERM\r",
        "TIOCSTI with more: EPERM\r",
    ]


def test_a_killed_process_ends_as_by_seccomp(instance: HostedInstance) -> None:
    instance.start("/bin/mkdir", "/tmp/new", policy=ByHand().call("mkdir", "KILL").compiled())

    assert instance.wait().status == 256 + signal.SIGSYS


def test_a_kill_is_of_the_process_alone(instance: HostedInstance) -> None:
    printed = shell(instance, ByHand().call("mkdir", "KILL"), "(exec mkdir /tmp/new); echo $?")

    assert str(128 + signal.SIGSYS) in printed  # beside what the shell says about it


def test_calls_are_limited_in_number(instance: HostedInstance) -> None:
    forks = ("fork", "vfork", "clone", "clone3")
    policy = ByHand().rate(forks, 10**12, 4, ("ERRNO", EAGAIN, 1))

    assert ran(instance, policy, "/bin/policies", "forks") == ["4 of 10"]


def test_addresses_are_judged(instance: HostedInstance) -> None:
    policy = (
        ByHand()
        .other_addresses(("ERRNO", EACCES, 1), ("ERRNO", EPERM, 2))
        .network("TO", "127.0.0.0/8", (8080, 8080), ALLOW, protocol=6)
        .network("TO", "127.0.0.0/8", (53, 53), ALLOW, protocol=17)
        .network("LISTEN", "127.0.0.1/32", (8080, 8080), ALLOW)
    )

    assert ran(instance, policy, "/bin/policies", "addresses") == [
        "bind 8080: ok",
        "listen 8080: ok",
        "bind 8081: EPERM",
        "listen to any: EPERM",
        "tcp 8080: ok",
        "tcp 8081: EACCES",
        "tcp 0.0.0.0:8081: EACCES",
        "udp 53: ok",
        "udp 8080: EACCES",
        "udp 8080 of no family: EACCES",
        "sendmsg 8081: EACCES",
    ]


def test_a_local_address_is_a_name_that_is_made(instance: HostedInstance) -> None:
    assert ran(instance, careful(), "/bin/policies", "local") == [
        "/tmp/socket: ok",
        "kept/socket: EACCES",
        "/tmp/socket: EADDRINUSE",
        "made",
    ]


def test_the_address_that_is_judged_is_the_one_that_is_used(instance: HostedInstance) -> None:
    policy = ByHand().network("TO", "127.0.0.0/8", (8081, 8081), ("ERRNO", EPERM, 1))

    assert ran(instance, policy, "/bin/policies", "race-address") == ["connected, 0 of the wrong port"]


def test_files_are_judged_by_what_paths_lead_to(instance: HostedInstance) -> None:
    printed = shell(
        instance,
        careful(),
        """cd /tmp
        cat open; cat priv; cat ../tmp/./priv
        ln -s priv one; ln -s ../tmp/one two; cat two
        ln -s open three; cat three; cat /proc/self/cwd/three; cat /proc/self/root/tmp/priv
        true""",
    )

    assert [line for line in printed if "secret" in line] == []
    assert printed.count("open") == 3
    assert sum("Permission denied" in line for line in printed) == 4


def test_nothing_is_written_where_it_may_only_be_read(instance: HostedInstance) -> None:
    printed = shell(
        instance,
        careful(),
        """cd /tmp
        for try in 'rm kept/file' 'mv kept/file x' 'mkdir kept/x' 'touch kept/x' 'chmod 0 kept/file' \\
            'ln -s a kept/x' 'ln open kept/x' 'mv open kept/x' 'cp open kept/x' 'cp open kept/file'
        do $try 2>/dev/null && echo "$try went well"; done
        chmod 600 open && mkdir new && mv new newer && rm -r newer && ln open other && rm other &&
        echo good""",
    )

    assert printed == ["good"]


def test_a_new_name_gives_no_new_rights(instance: HostedInstance) -> None:
    printed = shell(
        instance,
        careful(),
        "cd /tmp; ln /etc/passwd p; ln priv p; mv priv p; mv kept k; cat p 2>&1; echo end",
    )

    assert all("Permission denied" in line for line in printed[:4])
    assert printed[4:] == ["cat: can't open 'p': No such file or directory", "end"]


def test_only_what_may_be_executed_is(instance: HostedInstance) -> None:
    printed = shell(
        instance,
        careful(),
        "cp /bin/busybox /tmp/true; chmod 755 /tmp/true; /tmp/true; echo $?; true; echo $?",
    )

    assert printed == ["/bin/sh: /tmp/true: Permission denied", "126", "0"]


def test_the_first_program_is_judged_too(instance: HostedInstance) -> None:
    instance.start("/bin/true", policy=ByHand().path("/bin/**", READ).compiled())

    record = instance.wait()
    assert record.failed_status == 126 or record.status == 126
    assert "policy" in record.text


@pytest.mark.parametrize("race", ["race-path", "race-link", "race-descriptors"])
def test_a_path_that_changes_during_the_call_never_wins(instance: HostedInstance, race: str) -> None:
    assert ran(instance, careful(), "/bin/policies", race) == ["opened, 0 secrets"]


@pytest.mark.parametrize("race", ["race-removal", "race-removal-among-threads"])
def test_a_directory_that_changes_during_the_call_never_wins(instance: HostedInstance, race: str) -> None:
    assert ran(instance, careful(), "/bin/policies", race) == ["always kept"]


NEEDS_LANDLOCK = pytest.mark.skipif(landlock_version()[0] < 2, reason="this kernel has no Landlock")


def more_beneath() -> ByHand:
    """What is written may be executed beneath a name where there is nothing yet."""
    return careful().path("/tmp/z/cgi/**", READ | WRITE | EXECUTE)


@NEEDS_LANDLOCK
def test_directories_stay_where_rules_speak_of_what_is_beneath(instance: HostedInstance) -> None:
    printed = shell(
        instance,
        more_beneath(),
        "cd /tmp; mv open z && mv z loose/ && mv loose/z z && ln -s loose l && mv -T l m && mv -T m z\n"
        "readlink z; rm z; mv loose z; mkdir z && mv z y; echo *",
    )

    assert printed == [
        "loose",
        "mv: can't rename 'loose': Permission denied",
        "mv: can't rename 'z': Permission denied",
        "kept loose priv z",
    ]


@NEEDS_LANDLOCK
def test_a_directory_in_a_files_place_is_never_moved(instance: HostedInstance) -> None:
    assert ran(instance, more_beneath(), "/bin/policies", "race-move") == ["moved files"]


@NEEDS_LANDLOCK
def test_files_move_with_hardly_any_descriptor_left(instance: HostedInstance) -> None:
    assert ran(instance, more_beneath(), "/bin/policies", "rename-with-room-for-one") == ["16 of 16"]


def test_the_root_stays_where_rules_speak_of_paths(instance: HostedInstance) -> None:
    (instance._root / "bin/chroot").symlink_to("busybox")

    printed = shell(instance, careful(), "chroot /tmp /bin/true; echo $?")

    assert "Operation not permitted" in printed[0]


def _replaced(client: Client, policy: bytes) -> tuple[int, str]:
    fd = sealed_record(policy)
    client.send(replace_policy(), fd)
    os.close(fd)
    answer = client.event(EventType.POLICY)
    return answer.value, answer.text


def test_a_new_policy_holds_at_once(instance: HostedInstance) -> None:
    instance.start("/bin/policies", "until-allowed", policy=ByHand().call("mkdir", "ERRNO", EPERM).compiled())
    client = instance.connect()
    client.started()

    assert _replaced(client, ByHand().compiled()) == (0, "")
    assert instance.wait().status == 0
    assert instance.logged() == "allowed\n"


def test_a_wrong_policy_changes_nothing(instance: HostedInstance) -> None:
    policy = ByHand().call("mkdir", "ERRNO", EPERM)
    instance.shell("read go; mkdir /tmp/x", interactive=True, policy=policy.compiled())
    client = instance.connect()
    client.started()

    answer = _replaced(client, bytes(ffi.sizeof("struct kw_policy")))

    instance.say("go\n")
    assert answer == (22, "it is none, or of another version")
    assert instance.wait().status == 1


def test_calls_are_decided_by_one_policy_or_the_other(instance: HostedInstance) -> None:
    """Both let the file be read, by different rules at different places."""
    policies = []
    for name, count in (("a", 150), ("b", 40)):
        policy = ByHand().other_paths(0, ("ERRNO", EACCES, 9)).path("/**", READ | WRITE | EXECUTE)
        for number in range(count):
            policy.path(f"/{name}{number}/**", EXECUTE)
        policies.append(policy.compiled())
    instance.shell(
        "n=0; while [ $n -lt 1500 ]; do n=$((n+1)); read x </bin/../etc/passwd || exit 1; done\n"
        "echo well; read end; true",
        interactive=True,
        policy=policies[0],
    )
    client = instance.connect()
    client.started()
    fds = [sealed_record(policy) for policy in policies]
    flips = 0

    while not instance.logged():
        client.send(replace_policy(), fds[flips % 2 == 0])
        assert client.event(EventType.POLICY).value == 0
        flips += 1

    for fd in fds:
        os.close(fd)
    instance.say("end\n")
    assert flips > 1
    assert (instance.wait().status, instance.logged()) == (0, "well\n")


def test_what_is_denied_is_told_and_counted(instance: HostedInstance) -> None:
    policy = careful().call("mkdir", "ERRNO", EPERM, 7)
    instance.shell(
        "read go; mkdir /tmp/new; cat /tmp/priv; read go", interactive=True, policy=policy.compiled()
    )
    client = instance.connect()
    client.send(hello())
    answer, (page, *_) = client.receive()
    assert answer
    instance.say("go\n")

    first, second = client.event(EventType.DENIED), client.event(EventType.DENIED)

    counts = ffi.new("struct kw_policy_shared *")
    ffi.memmove(
        counts,
        os.pread(page, ffi.sizeof("struct kw_policy_shared"), lib.KW_POLICY_SHARED_OFFSET),
        ffi.sizeof("struct kw_policy_shared"),
    )
    os.close(page)
    assert (first.value, first.extra) == (7, number_of("mkdir"))
    assert first.text.split()[2:4] == [str(lib.KW_POLICY_ERRNO), str(EPERM)]
    assert first.text.split()[5] == "1ff"
    assert (second.value, second.text.split()[-1]) == (4, "/tmp/priv")
    assert [counts.counts[rule].denied for rule in (4, 7)] == [1, 1]


def test_a_flood_of_denied_calls_is_told_in_part(instance: HostedInstance) -> None:
    script = "read go; i=0; while [ $i -lt 3000 ]; do umask 022; i=$((i+1)); done; read go"
    instance.shell(script, interactive=True, policy=ByHand().call("umask", "LOG", 0, 8).compiled())
    client = instance.connect()
    client.started()
    instance.say("go\n")

    wait_until(lambda: int(client.event(EventType.DENIED).text.split()[10]) > 0)


@pytest.mark.slow
def test_who_is_slow_to_read_of_denied_calls_is_told_less_and_not_cut_off(instance: HostedInstance) -> None:
    script = (
        "end=$(($(busybox date +%s) + 5)); while [ $(busybox date +%s) -lt $end ]; do umask 022; done; exit 7"
    )
    instance.shell(script, policy=ByHand().call("umask", "LOG", 0, 8).compiled())
    client = instance.connect()
    client.started()

    assert instance.wait().status == 7

    assert client.event(EventType.EXITED).value == 7


def test_what_joins_has_the_instances_policy(instance: HostedInstance) -> None:
    from tests.functional.test_join import Joined

    instance.shell("read go", interactive=True, policy=ByHand().call("mkdir", "ERRNO", EPERM).compiled())
    instance.connect().started()
    joined = Joined(instance, ["/bin/mkdir", "/tmp/new"])

    assert joined.client.event(EventType.EXITED).value == 1


@NEEDS_LANDLOCK
def test_what_joins_moves_files_where_directories_stay(instance: HostedInstance) -> None:
    from tests.functional.test_join import Joined

    instance.shell("read go", interactive=True, policy=more_beneath().compiled())
    instance.connect().started()
    joined = Joined(instance, ["/bin/mv", "/tmp/open", "/tmp/z"])

    assert joined.client.event(EventType.EXITED).value == 0
