"""A further process in a running instance (exec), as `supervise` makes it: one of the instance's own."""

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from kwhost.core.abi.messages import EventType, execute, resize, send_signal, stop
from kwhost.core.abi.record import encode_exec
from kwhost.core.engines.kvm_device import open_kvm
from kwhost.core.engines.launch import sealed_record
from kwhost.core.model.instance import GuestLimits, Identity, TerminalSize
from tests.engine.workshop import open_workshop
from tests.functional.hosted import Client, HostedInstance, read_all, read_until, wait_until
from tests.patience import SECONDS

NAMESPACES = ("user", "mnt", "pid", "ipc", "uts", "cgroup", "net")
ROOT = Identity(0, 0)
GUEST = Identity(77, 78, (99,), "/home/guest")
PATH = {"PATH": "/bin"}
# Children of supervise's that are no programs.
HELPERS = ("kw-joiner", "kw-broker")


class Joined:
    """A joining process: its connection and the far ends of its standard streams."""

    def __init__(
        self,
        instance: HostedInstance,
        argv: Sequence[str],
        *,
        identity: Identity = ROOT,
        workdir: str = "/",
        terminal: TerminalSize | None = None,
    ) -> None:
        self.client: Client = instance.connect()
        self.ours: list[int] = []
        record = encode_exec(
            argv,
            environment=PATH,
            workdir=workdir,
            identity=identity,
            terminal=terminal,
            interactive=True,
            started_ns=time.monotonic_ns(),
        )
        with ExitStack() as sent:
            fds = [sealed_record(record)]
            if instance.is_virtual:
                fds.append(open_kvm())
            if not terminal:
                (stdin, feed), (out, stdout), (err, stderr) = os.pipe(), os.pipe(), os.pipe()
                self.ours = [feed, out, err]
                fds += [stdin, stdout, stderr]
            for fd in fds:
                sent.callback(os.close, fd)
            self.client.send(execute(), *fds)

    def started(self) -> int:
        """Wait until the program runs: its id on the host."""
        while True:
            event, fds = self.client.receive()
            self.ours += fds
            assert event, "no start was told"
            assert event.type is not EventType.FAILED, event.text
            if event.type is EventType.STARTED:
                return event.extra

    def finish(self) -> tuple[int, str, str]:
        """Status (256 + signal), output and errors of a process that ends by itself."""
        os.close(self.ours.pop(0))
        texts = [read_all(fd).decode() for fd in self.ours]
        status = self.client.event(EventType.EXITED).value
        return status, texts[0], texts[1]

    def close(self) -> None:
        """Let go of everything."""
        self.client.socket.close()
        for fd in self.ours:
            os.close(fd)


Join = Callable[..., Joined]


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path, virtual: bool) -> Iterator[HostedInstance]:
    hosted = HostedInstance(tmp_path, busybox_root, virtual=virtual)
    yield hosted
    hosted.close()


@pytest.fixture
def running(instance: HostedInstance) -> HostedInstance:
    """An instance whose program has written a file and sleeps."""
    instance.shell("echo secret > /file; echo up; sleep 1000; :")
    wait_until(lambda: instance.logged() == "up\n")
    return instance


@pytest.fixture
def join(running: HostedInstance) -> Iterator[Join]:
    """`join("ls", "/")` starts a process in the instance."""
    made: list[Joined] = []

    def start(*argv: str, **options: object) -> Joined:
        made.append(Joined(running, argv, **options))  # type: ignore[arg-type]
        return made[-1]

    yield start
    for joined in made:
        joined.close()


def first_of(instance: HostedInstance) -> int:
    """The instance's first process, while no other has joined."""
    return _only_child(instance, lambda name: name not in HELPERS)


def _joiner(instance: HostedInstance) -> int:
    return _only_child(instance, lambda name: name == "kw-joiner")


def _only_child(instance: HostedInstance, wanted: Callable[[str], bool]) -> int:
    """Supervise's child of such a name. Those that are no programs give themselves theirs, in time."""

    def named() -> list[int]:
        return [pid for pid in _children(_supervisor(instance)) if wanted(_name(pid))]

    [child] = wait_until(lambda: len(found := named()) == 1 and found)
    return int(child)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip()
    except OSError:
        return ""


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _supervisor(instance: HostedInstance) -> int:
    assert instance.process
    return instance.process.pid


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def sleeping(join: Join) -> int:
    """A joined program that runs: its id on the host."""
    joined = join("sh", "-c", "echo up; sleep 1000; :")
    read_until(joined.ours[1], b"up\n")
    return joined.started()


@pytest.mark.hw
def test_it_is_in_the_instance(join: Join) -> None:
    joined = join("sh", "-c", "cat /file; hostname; ps -o pid,args; echo err >&2; pwd", workdir="/etc")

    status, output, errors = joined.finish()

    assert (status, errors) == (0, "err\n")
    lines = output.splitlines()
    assert lines[:2] == ["secret", "hosted"]
    assert lines[-1] == "/etc"
    assert any(re.match(r" *1 /bin/sh -c echo secret", line) for line in lines)
    assert any("ps -o pid,args" in line for line in lines)


def test_it_has_the_instances_namespaces_and_privileges(running: HostedInstance, join: Join) -> None:
    first = first_of(running)
    pid = sleeping(join)

    other = [n for n in NAMESPACES if not os.path.samefile(f"/proc/{pid}/ns/{n}", f"/proc/{first}/ns/{n}")]

    assert other == []
    assert os.path.samefile(f"/proc/{pid}/root", f"/proc/{first}/root")
    names = (
        "Uid",
        "Gid",
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
    )
    assert {name: _status(pid)[name] for name in names} == {name: _status(first)[name] for name in names}
    limits = [Path(f"/proc/{process}/limits").read_text() for process in (pid, first)]
    assert limits[0] == limits[1]


def test_it_holds_nothing_of_the_supervisors(running: HostedInstance, join: Join) -> None:
    first = first_of(running)
    pid = sleeping(join)

    def held(process: int) -> list[str]:
        names = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
        return sorted(re.sub(r"pipe:\[\d+\]|/dev/null", "stdio", name) for name in names)

    assert held(pid) == held(first)


@pytest.mark.parametrize("identity", [ROOT, GUEST])
def test_it_is_the_user_asked_for(join: Join, identity: Identity) -> None:
    status, output, _ = join(
        "sh", "-c", "id -u; id -g; id -G; echo x > /dev/stdout", identity=identity
    ).finish()

    groups = " ".join(map(str, (identity.gid, *identity.groups)))
    assert (status, output) == (0, f"{identity.uid}\n{identity.gid}\n{groups}\nx\n")


@pytest.mark.hw
def test_status_and_signals(join: Join) -> None:
    assert join("sh", "-c", "exit 7").finish()[0] == 7
    assert join("sh", "-c", "kill -9 $$").finish()[0] == 256 + signal.SIGKILL
    joined = join("sh", "-c", "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.1; done")
    read_until(joined.ours[1], b"ready\n")
    joined.client.send(send_signal(signal.SIGUSR1))

    assert joined.finish()[:2] == (3, "caught\n")


def test_input_reaches_it(join: Join) -> None:
    joined = join("cat")
    os.write(joined.ours[0], b"typed")

    assert joined.finish() == (0, "typed", "")


@pytest.mark.hw
def test_a_terminal_of_its_own(join: Join) -> None:
    joined = join(
        "sh",
        "-c",
        "tty; stty size; read x; stty size; echo $x; exit 5",
        terminal=TerminalSize(rows=11, columns=22),
    )
    joined.started()
    [master] = joined.ours
    assert re.search(rb"/dev/pts/\d+\r\n11 22\r\n", read_until(master, b"22\r\n"))
    joined.client.send(resize(33, 44))
    wait_until(lambda: tuple(os.get_terminal_size(master)) == (44, 33))

    os.write(master, b"typed\n")

    assert read_all(master).endswith(b"33 44\r\ntyped\r\n")
    assert joined.client.event(EventType.EXITED).value == 5


@pytest.mark.parametrize(
    ("argv", "status", "text"),
    [
        (["no-such-program"], 127, "no-such-program: command not found in the instance"),
        (["/etc/passwd"], 126, "/etc/passwd: cannot be executed"),
    ],
)
def test_what_cannot_be_run_fails_with_one_line(join: Join, argv: list[str], status: int, text: str) -> None:
    event = join(*argv).client.event(EventType.FAILED)

    assert event.value == status
    assert event.text.startswith(text)


def test_closing_the_connection_kills_it(running: HostedInstance, join: Join) -> None:
    joined = join("sleep", "1000")
    pid = joined.started()

    joined.client.socket.close()

    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert first_of(running)


def test_the_instances_end_is_its_end(running: HostedInstance, join: Join) -> None:
    joined = join("sleep", "1000")
    joined.started()
    other = running.connect()

    other.send(stop(SECONDS * 1000))

    assert joined.client.event(EventType.EXITED).value == 256 + signal.SIGKILL
    assert other.event(EventType.EXITED).value == 256 + signal.SIGTERM
    running.wait()


def attempt(instance: HostedInstance) -> tuple[EventType | None, int, str]:
    """Join, and how that ended; nothing when the instance ended before."""
    try:
        joined = Joined(instance, ["sh", "-c", "exit 9"])
    except (OSError, AssertionError):
        return None, 0, ""
    started = False
    try:
        while (event := joined.client.receive()[0]) and event.type is EventType.STARTED:
            started = True
    except ConnectionError:
        event = None
    finally:
        joined.close()
    if not event or (event.type is EventType.EXITED and not started):
        return None, 0, ""
    return event.type, event.value, event.text


def test_an_instance_that_starts_or_ends_says_so(instance: HostedInstance) -> None:
    """Each attempt runs or fails with a reason; none is forgotten."""
    instance.shell("sleep 1000; :")
    early = [attempt(instance)]
    while early[-1][1] != 9:
        early.append(attempt(instance))
    instance.connect().send(send_signal(signal.SIGTERM))
    late = [attempt(instance)]
    while late[-1][0]:
        late.append(attempt(instance))
    instance.wait()

    assert {text for _, _, text in early} <= {"the instance is still starting", ""}
    assert {text for _, _, text in late} <= {
        "the instance has ended",
        "the instance is ending, or out of memory",
        "",
    }
    assert {value for kind, value, _ in late if kind is EventType.EXITED} <= {9, 256 + signal.SIGKILL}


@pytest.mark.hw
def test_many_at_once(running: HostedInstance, join: Join) -> None:
    before = running.descriptors()

    all_joined = [join("sh", "-c", f"echo {number}; exit {number}") for number in range(20)]

    ends = [joined.finish() for joined in all_joined]
    assert ends == [(number, f"{number}\n", "") for number in range(20)]
    wait_until(lambda: running.descriptors() == before)
    assert [first_of(running)]


@pytest.mark.root
def test_nobody_looks_into_one_that_joins(running: HostedInstance, join: Join) -> None:
    """Not even a monitor that was taken over, while the joining process still holds more than it will."""
    workshop = open_workshop()
    attacker = workshop.folder / Path(workshop.build(Path(__file__).with_name("join_attacker.c"))).name
    spared = [] if running.is_virtual else ["programs"]
    first, supervisor = first_of(running), _supervisor(running)
    end = time.monotonic() + SECONDS
    with subprocess.Popen(
        [attacker, str(first), str(supervisor), "30", *spared], stdout=subprocess.PIPE, text=True
    ) as attack:
        assert attack.stdout
        assert attack.stdout.readline() == "ready\n"
        while attack.poll() is None and time.monotonic() < end:
            assert join("sh", "-c", "exit 0").finish()[0] == 0
        attack.kill()
        output = attack.stdout.read()

    assert (attack.returncode, output) == (0, "looked at all\n")


def test_one_that_joins_never_runs_from_a_file_that_can_be_written(
    running: HostedInstance, join: Join
) -> None:
    executables = set()
    for _ in range(10):
        joined = join("sh", "-c", "exit 0")
        while not select.select([joined.client.socket], [], [], 0)[0]:
            executables |= {_executable(pid) for pid in _children(_supervisor(running))}
        joined.finish()

    program = set() if running.is_virtual else {"/bin/busybox"}
    assert executables - {""} - program == {"/memfd:kwhost-monitor (deleted)"}


def _executable(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


@pytest.mark.kvm
@pytest.mark.parametrize("virtual", [True])
def test_it_counts_as_one_of_the_instances(instance: HostedInstance) -> None:
    instance.shell("sleep 1000 & echo up; wait", limits=GuestLimits(pids=4))
    wait_until(lambda: instance.logged() == "up\n")  # the shell and its sleep
    one = Joined(instance, ["sh", "-c", "echo up; exec sleep 1000"])
    read_until(one.ours[1], b"up\n")
    two = Joined(instance, ["sh", "-c", "echo up; read x; sleep 1; echo no"])
    read_until(two.ours[1], b"up\n")
    three = Joined(instance, ["sh", "-c", "echo no"])

    assert three.finish() == (
        125,
        "",
        "kwhost: the instance's limit of 4 processes and threads is reached\n",
    )
    assert "can't fork" in two.finish()[2]
    for joined in (one, two, three):
        joined.close()


def test_without_the_joiner_nobody_joins_and_that_is_said(running: HostedInstance, join: Join) -> None:
    os.kill(_joiner(running), signal.SIGKILL)

    event = join("true").client.event(EventType.FAILED)

    assert event.text == ("the instance's joiner was killed: nobody can join until it is started again")
    assert first_of(running)


def test_the_joiner_holds_nothing_of_others_and_ends_with_the_supervisor(running: HostedInstance) -> None:
    joiner = _joiner(running)
    held = [os.readlink(link) for link in Path(f"/proc/{joiner}/fd").iterdir()]
    sockets = [name for name in held if name.startswith("socket:")]
    assert len(sockets) == 1
    assert not [name for name in held if name.startswith("pipe:") or name.endswith(("/log", "/exit"))]

    os.kill(_supervisor(running), signal.SIGKILL)

    wait_until(lambda: _name(joiner) == "")
