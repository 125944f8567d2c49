"""What `supervise` promises for a hosted instance: log, exit record, connections, attachments, limits."""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kwhost.core.abi.exit_record import EndReason
from kwhost.core.abi.messages import (
    CONNECTIONS_MAX,
    MESSAGE_SIZE,
    AttachFlag,
    EventType,
    attach,
    execute,
    hello,
    resize,
    send_signal,
    stop,
    watch_log,
)
from kwhost.core.abi.statistics import decode_statistics
from kwhost.core.abi.statistics_page import STATS_SIZE
from kwhost.core.model.instance import GuestLimits, LogLimits, TerminalSize
from tests.functional.hosted import SECONDS, HostedInstance, wait_until

pytestmark = pytest.mark.kvm

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
BOTH = AttachFlag.STDIN | AttachFlag.OUTPUT

New = Callable[..., HostedInstance]
Pipes = Callable[[], tuple[int, int]]


@pytest.fixture
def new(tmp_path: Path, busybox_root: Path) -> Iterator[New]:
    """Makes instances that are ended after the test."""
    made: list[HostedInstance] = []

    def make(directory: Path = tmp_path) -> HostedInstance:
        made.append(HostedInstance(directory, busybox_root))
        return made[-1]

    yield make
    for instance in made:
        instance.close()


@pytest.fixture
def hosted(new: New) -> HostedInstance:
    return new()


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    """Makes pipes; their ends are closed after the test, wherever they went."""
    ends: list[tuple[int, int]] = []

    def make() -> tuple[int, int]:
        pair = os.pipe()
        ends.extend((fd, os.fstat(fd).st_ino) for fd in pair)
        return pair

    yield make
    for fd, inode in ends:
        try:
            if os.fstat(fd).st_ino == inode:
                os.close(fd)
        except OSError:
            pass


def read_all(fd: int) -> bytes:
    """Everything up to the end, which has to come in time."""
    data = b""
    while True:
        assert select.select([fd], [], [], SECONDS)[0], f"no end after {data[-100:]!r}"
        if not (more := os.read(fd, 65536)):
            return data
        data += more


def fill_up(disk: Path) -> Path:
    """Take all the room; the file that does."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


def read_until(fd: int, text: bytes) -> bytes:
    data = b""
    while text not in data:
        assert select.select([fd], [], [], SECONDS)[0], f"{text!r} did not come: {data!r}"
        more = os.read(fd, 65536)
        assert more, f"{text!r} did not come: {data!r}"
        data += more
    return data


# --- log and exit record


def test_output_is_logged_line_by_line(hosted: HostedInstance) -> None:
    hosted.shell("echo one; echo two >&2; printf 'three\\n\\nfour'; exit 7")

    record = hosted.wait()

    assert (record.reason, record.status, record.text) == (EndReason.EXITED, 7, "")
    assert 0 <= time.time_ns() - record.ended_ns < SECONDS * 10**9
    assert 0 < record.ended_ns - record.started_ns < SECONDS * 10**9
    lines = hosted.log()
    assert all(TIME.fullmatch(line.time) for line in lines)
    assert abs(time.time() - time.mktime(time.strptime(lines[0].time[:19], "%Y-%m-%dT%H:%M:%S"))) < 90_000
    assert [(line.tag, line.text) for line in lines if line.stream == "stdout"] == [
        ("F", "one"),
        ("F", "three"),
        ("F", ""),
        ("P", "four"),
    ]
    assert [(line.tag, line.text) for line in lines if line.stream == "stderr"] == [("F", "two")]


def test_a_line_without_an_end_is_logged_soon(hosted: HostedInstance) -> None:
    hosted.shell("printf prompt; read answer; echo done", interactive=True)

    wait_until(lambda: [(line.tag, line.text) for line in hosted.log()] == [("P", "prompt")])


def test_long_lines_are_cut_into_records(hosted: HostedInstance) -> None:
    hosted.shell("i=0; while [ $i -lt 4000 ]; do printf 0123456789; i=$((i+1)); done; echo")

    hosted.wait()

    assert [(line.tag, len(line.text)) for line in hosted.log()] == [("P", 16384), ("P", 16384), ("F", 7232)]
    assert hosted.logged() == "0123456789" * 4000 + "\n"


def test_the_log_stays_within_its_limits(hosted: HostedInstance) -> None:
    line = "x" * 1000
    hosted.start(
        "/bin/busybox",
        "sh",
        "-c",
        f"yes {line} | head -n 2000; echo last",
        log=LogLimits(size=200_000, files=3),
    )

    hosted.wait()

    files = hosted.log_files()
    assert [file.name for file in files] == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 200_000 for file in files)
    assert files[1].stat().st_size > 190_000
    assert hosted.log()[-1].text == "last"
    assert {entry.text for entry in hosted.log()[:-1]} == {line}


def test_another_run_appends_to_the_log(hosted: HostedInstance) -> None:
    (hosted.dirs.state / "log").write_text("cut off")
    hosted.shell("echo new")

    hosted.wait()

    assert (hosted.dirs.state / "log").read_text().startswith("cut off\n20")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.root
def test_a_full_disk_loses_lines_and_nothing_else(new: New, small_disk: Path) -> None:
    hosted = new(small_disk)
    hosted.shell("yes 0123456789 | head -c 800000; exit 6")

    assert "log" in hosted.connect().event(EventType.NOTICE).text
    record = hosted.wait()

    assert record.status == 6
    assert record.lost_log > 500_000
    assert 400_000 < (hosted.dirs.state / "log").stat().st_size <= 512 * 1024


@pytest.mark.root
def test_the_log_tells_of_its_loss_once_there_is_room(new: New, small_disk: Path, pipes: Pipes) -> None:
    hosted = new(small_disk)
    (stdin, feed), (out, stdout), (_, stderr) = pipes(), pipes(), pipes()
    hosted.shell("read go; yes | head -c 9000; echo done; read go; echo back", interactive=True)
    client = hosted.connect()
    client.send(attach(BOTH), stdin, stdout, stderr)
    client.event(EventType.STARTED)
    ballast = fill_up(small_disk)

    os.write(feed, b"go\n")
    read_until(out, b"done\n")
    ballast.unlink()
    os.write(feed, b"go\n")
    record = hosted.wait()

    assert record.lost_log > 9000
    assert [line.text for line in hosted.log()] == [
        f"kwhost: {record.lost_log} bytes of log were lost",
        "back",
    ]


def test_deleted_directories_harm_nothing(hosted: HostedInstance) -> None:
    hosted.shell("sleep 0.3; echo hello; exit 3", log=LogLimits(size=65_536, files=2))
    client = hosted.connect()
    client.event(EventType.STARTED)
    hosted.dirs.remove()

    assert client.event(EventType.EXITED).value == 3


def test_a_start_that_fails_leaves_the_reason(hosted: HostedInstance) -> None:
    hosted.start("/bin/nothing-there")
    client = hosted.connect()

    record = hosted.wait()

    assert (record.reason, record.failed_status) == (EndReason.FAILED, 127)
    assert "/bin/nothing-there" in record.text
    assert client.is_closed()


# --- connections


def test_hello_tells_how_the_instance_is(hosted: HostedInstance) -> None:
    hosted.shell("echo up; sleep 1000")
    client = hosted.connect()
    started = client.event(EventType.STARTED)

    client.send(hello())
    event, (stats,) = client.receive()

    assert event
    assert (event.type, event.value, event.extra) == (EventType.HELLO, 1, started.extra)
    assert b"kwhost-monitor" in Path(f"/proc/{started.extra}/stat").read_bytes() or started.extra > 1
    assert event.time_ns < time.monotonic_ns()
    page = decode_statistics(os.pread(stats, STATS_SIZE, 0), event.time_ns)
    os.close(stats)
    assert page
    assert page.processes >= 1


def test_the_end_is_told_on_every_connection(hosted: HostedInstance) -> None:
    hosted.shell("sleep 1000")
    clients = [hosted.connect() for _ in range(4)]
    clients[0].event(EventType.STARTED)
    for client in clients:
        client.send(hello())
        client.event(EventType.HELLO)

    clients[1].send(stop(SECONDS * 1000))

    assert {client.event(EventType.EXITED).value for client in clients} == {256 + signal.SIGTERM}
    assert hosted.wait().status == 256 + signal.SIGTERM


def test_stop_sends_its_signal_and_later_kills(hosted: HostedInstance) -> None:
    hosted.shell("trap 'echo usr1' USR1; trap '' TERM; echo up; while :; do sleep 0.05; done")
    client = hosted.connect()
    wait_until(lambda: hosted.logged() == "up\n")

    client.send(stop(500, signal.SIGUSR1))

    assert client.event(EventType.EXITED).value == 256 + signal.SIGKILL
    assert hosted.logged() == "up\nusr1\n"


def test_rubbish_changes_nothing(hosted: HostedInstance) -> None:
    hosted.shell("echo up; sleep 1000")
    client = hosted.connect()
    client.event(EventType.STARTED)
    client.send(hello())
    client.event(EventType.HELLO)
    before = hosted.descriptors()

    with open("/dev/null", "rb") as null:
        fd = null.fileno()
        client.send(b"x", fd)
        client.send(b"\xff" * MESSAGE_SIZE, fd, fd)
        client.send(bytes(MESSAGE_SIZE * 3), *[fd] * 30)
        client.send(hello(), fd)
        client.event(EventType.HELLO)
        client.send(send_signal(0))
        client.send(send_signal(65))
        client.send(stop(0, 99))
        client.send(resize(10, 10), fd)
        client.send(attach(BOTH))
        assert "attached" in client.event(EventType.NOTICE).text
        client.send(attach(BOTH), fd, fd)
        client.event(EventType.NOTICE)
        client.send(attach(AttachFlag(0)), fd)
        client.event(EventType.NOTICE)
        client.send(execute()[:-1], fd, fd)

    client.send(hello())
    client.event(EventType.HELLO)
    assert hosted.descriptors() == before


def test_a_client_that_does_not_read_is_cut_off(hosted: HostedInstance) -> None:
    hosted.shell("echo up; sleep 1000")
    lazy, other = hosted.connect(), hosted.connect()
    lazy.socket.setblocking(False)

    def flood() -> bool:
        try:
            lazy.send(hello())
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        return False

    wait_until(flood)

    other.send(hello())
    assert other.event(EventType.HELLO)


def test_connections_beyond_the_limit_are_turned_away(hosted: HostedInstance) -> None:
    hosted.shell("sleep 1000")
    clients = []
    for _ in range(CONNECTIONS_MAX):
        clients.append(hosted.connect())
        clients[-1].send(hello())
        clients[-1].event(EventType.HELLO)

    assert hosted.connect().is_closed()
    clients.pop().socket.close()

    def accepted() -> bool:
        client = hosted.connect()
        try:
            client.send(hello())
            return bool(client.receive()[0])
        except ConnectionError:
            return False

    wait_until(accepted)


def test_watching_the_log_wakes_for_each_news(hosted: HostedInstance, pipes: Pipes) -> None:
    read, write = pipes()
    hosted.shell("while read line; do echo $line; done", interactive=True)
    client = hosted.connect()
    client.event(EventType.STARTED)
    client.send(attach(AttachFlag.STDIN | AttachFlag.CLOSE_STDIN), read)
    os.close(read)
    for number in range(3):
        client.send(watch_log())
        os.write(write, f"{number}\n".encode())
        client.event(EventType.LOGGED)
        assert hosted.logged().endswith(f"{number}\n")
    os.write(write, b"unwatched\n")
    wait_until(lambda: hosted.logged().endswith("unwatched\n"))
    client.send(watch_log())
    client.event(EventType.LOGGED)
    os.close(write)

    assert client.event(EventType.EXITED).value == 0


# --- attachments


def test_an_attachment_gets_output_and_gives_input(hosted: HostedInstance, pipes: Pipes) -> None:
    hosted.shell("echo early; while read line; do echo got $line; echo err $line >&2; done", interactive=True)
    client = hosted.connect()
    wait_until(lambda: hosted.logged() == "early\n")
    (stdin, feed), (out, stdout), (err, stderr) = pipes(), pipes(), pipes()

    client.send(attach(BOTH), stdin, stdout, stderr)
    for fd in (stdin, stdout, stderr):
        os.close(fd)
    os.write(feed, b"a\n")
    assert read_until(out, b"\n") == b"got a\n"
    assert read_until(err, b"\n") == b"err a\n"
    os.close(feed)  # the program's input stays open
    (stdin, feed) = pipes()
    client.send(attach(AttachFlag.STDIN | AttachFlag.CLOSE_STDIN), stdin)
    os.close(stdin)
    os.write(feed, b"b\n")
    os.close(feed)

    assert client.event(EventType.EXITED).value == 0
    assert read_all(out) == b"got b\n"
    assert hosted.logged() == "early\ngot a\ngot b\n"


def test_a_slow_attachment_is_cut_off_and_the_program_goes_on(hosted: HostedInstance, pipes: Pipes) -> None:
    read, write = pipes()
    hosted.shell(
        "read go; yes 0123456789 | head -c 3000000; echo; exit 5",
        interactive=True,
        log=LogLimits(size=10**8, files=1),
    )
    client = hosted.connect()
    (_, stuck), (_, other) = pipes(), pipes()
    client.send(attach(AttachFlag.OUTPUT), stuck, other)
    os.close(stuck)
    client.send(attach(AttachFlag.STDIN), read)
    os.write(write, b"go\n")

    assert "cut off" in client.event(EventType.NOTICE).text
    assert client.event(EventType.EXITED).value == 5
    assert len(hosted.logged()) == 3_000_001


def test_the_first_attachment_loses_nothing(hosted: HostedInstance, pipes: Pipes) -> None:
    (stdin, feed), (out, stdout), (err, stderr) = pipes(), pipes(), pipes()
    hosted.shell(
        "cat; yes 0123456789 | head -c 1000000; exit 4", interactive=True, stdio=(stdin, stdout, stderr)
    )
    for fd in (stdin, stdout, stderr):
        os.close(fd)
    client = hosted.connect()
    os.write(feed, b"input\n")
    os.close(feed)
    time.sleep(1.3)  # longer than others are waited for

    data = read_all(out)

    assert data == b"input\n" + (b"0123456789\n" * 100_000)[:1_000_000]
    assert read_all(err) == b""
    assert client.event(EventType.EXITED).value == 4
    assert hosted.logged().encode() == data


def test_after_a_stop_a_stuck_first_attachment_is_not_waited_for(
    hosted: HostedInstance, pipes: Pipes
) -> None:
    (stdin, _), (_, stdout), (_, stderr) = pipes(), pipes(), pipes()
    hosted.shell("while :; do echo 0123456789; done", stdio=(stdin, stdout, stderr))
    client = hosted.connect()
    client.event(EventType.STARTED)

    client.send(stop(100))

    assert client.event(EventType.EXITED).value == 256 + signal.SIGTERM


def test_a_terminal_is_logged_attached_and_resized(hosted: HostedInstance, pipes: Pipes) -> None:
    hosted.shell(
        "stty size; while read line; do stty size; done",
        interactive=True,
        terminal=TerminalSize(rows=11, columns=22),
    )
    client = hosted.connect()
    (stdin, feed), (out, stdout), (_, stderr) = pipes(), pipes(), pipes()
    client.send(attach(BOTH | AttachFlag.CLOSE_STDIN), stdin, stdout, stderr)
    os.close(stdin)
    wait_until(lambda: hosted.log() and hosted.log()[0].text == "11 22\r")

    client.send(resize(33, 44))
    client.send(hello())
    client.event(EventType.HELLO)
    os.write(feed, b"x\n")
    assert b"33 44\r\n" in read_until(out, b"33 44\r\n")
    os.close(feed)  # typed as ^D

    assert client.event(EventType.EXITED).value == 0


# --- limits, cgroups, what the jail gets


def test_memory_beyond_a_sampled_limit_ends_the_instance(hosted: HostedInstance) -> None:
    hosted.shell(
        "x=0123456789abcdef; while :; do x=$x$x; done", limits=GuestLimits(resident=64 * 1024 * 1024)
    )
    client = hosted.connect()

    assert "the limit is 64" in client.event(EventType.MEMORY).text
    assert client.event(EventType.EXITED).value == 256 + signal.SIGKILL
    assert hosted.wait().reason is EndReason.MEMORY


def test_shared_pages_count_once_against_a_sampled_limit(hosted: HostedInstance) -> None:
    hosted.shell(
        "x=$(yes | head -c 8000000); for i in 1 2 3 4 5 6; do (sleep 1) & done; wait; exit 2",
        limits=GuestLimits(resident=90 * 1024 * 1024),
    )

    assert hosted.wait().status == 2


@pytest.mark.root
def test_instance_and_supervisor_are_in_their_cgroups(hosted: HostedInstance) -> None:
    hierarchy = Path("/sys/fs/cgroup/pids")
    parent = hierarchy if hierarchy.is_dir() else Path("/sys/fs/cgroup")
    groups = [parent / f"kwhost-test-{os.getpid()}-{name}" for name in ("own", "guest")]
    files = []
    try:
        for group in groups:
            group.mkdir()
            files.append(os.open(group / "cgroup.procs", os.O_WRONLY))
        hosted.shell("sleep 1000", cgroups=((files[0],), (files[1],)))
        client = hosted.connect()
        pid = client.event(EventType.STARTED).extra
        assert hosted.process

        assert f"{groups[0].name}\n" in Path(f"/proc/{hosted.process.pid}/cgroup").read_text()
        assert f"{groups[1].name}\n" in Path(f"/proc/{pid}/cgroup").read_text()
    finally:
        hosted.close()
        for fd in files:
            os.close(fd)
        wait_until(lambda: not any((group / "cgroup.procs").read_text() for group in groups))
        for group in groups:
            group.rmdir()


def test_a_cgroup_that_cannot_be_joined_is_named(hosted: HostedInstance) -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    hosted.shell("true", cgroups=((), (fd,)))
    os.close(fd)

    record = hosted.wait()

    assert record.failed_status == 125
    assert "/dev/full" in record.text


@pytest.mark.root
def test_nothing_of_the_supervisor_reaches_the_jail(hosted: HostedInstance) -> None:
    hosted.shell("echo up; sleep 1000", interactive=True)
    client = hosted.connect()
    pid = client.event(EventType.STARTED).extra
    wait_until(lambda: hosted.logged() == "up\n")
    assert hosted.process

    own = Path(f"/proc/{hosted.process.pid}")
    names = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    flags = [entry.read_text() for entry in (own / "fdinfo").iterdir()]

    assert not [name for name in names if "socket" in name or str(hosted.dirs.state) in name]
    assert all(int(re.findall(r"flags:\s+(\d+)", text)[0], 8) & os.O_CLOEXEC for text in flags)


@pytest.mark.root
def test_a_supervisor_needs_little_memory(hosted: HostedInstance) -> None:
    hosted.shell("echo up; sleep 1000")
    wait_until(lambda: hosted.logged() == "up\n")
    assert hosted.process

    rollup = Path(f"/proc/{hosted.process.pid}/smaps_rollup").read_text()

    assert int(re.findall(r"Private_Dirty:\s+(\d+) kB", rollup)[0]) < 200
