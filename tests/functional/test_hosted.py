"""Hosted instances without a daemon: connections to `supervise`, limits, cgroups, what the jail gets."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable
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
from kwhost.core.model.instance import GuestLimits
from tests.functional.hosted import HostedInstance, Pipes, wait_until
from tests.patience import SECONDS

pytestmark = pytest.mark.kvm

BOTH = AttachFlag.STDIN | AttachFlag.OUTPUT


def read_all_of(directory: Path, read: Callable[[Path], str]) -> list[str]:
    """Everything in it that does not go away meanwhile."""
    found = []
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(read(path))
    return found


def test_hello_tells_how_the_instance_is(hosted: HostedInstance) -> None:
    hosted.shell("echo up; sleep 1000")
    client = hosted.connect()
    pid = client.started()

    client.send(hello())
    event, (stats,) = client.receive()

    assert event
    assert (event.type, event.value, event.extra) == (EventType.HELLO, 1, pid)
    assert Path(f"/proc/{pid}").exists()
    assert event.time_ns < time.monotonic_ns()

    def processes() -> int:
        page = decode_statistics(os.pread(stats, STATS_SIZE, 0), event.time_ns)
        assert page
        return page.processes or 0  # the monitor counts itself a moment after "started"

    wait_until(processes)
    os.close(stats)


def test_the_end_is_told_on_every_connection(hosted: HostedInstance) -> None:
    hosted.shell("sleep 1000")
    clients = [hosted.connect() for _ in range(4)]
    clients[0].started()
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

    client.send(stop(3000, signal.SIGUSR1))

    assert client.event(EventType.EXITED).value == 256 + signal.SIGKILL
    assert hosted.logged() == "up\nusr1\n"


def test_rubbish_changes_nothing(hosted: HostedInstance) -> None:
    hosted.shell("echo up; sleep 1000")
    client = hosted.connect()
    client.started()
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
    client.started()
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


def test_memory_beyond_a_sampled_limit_ends_the_instance(hosted: HostedInstance) -> None:
    hosted.shell(
        "read go; x=0123456789abcdef; while :; do x=$x$x; done",
        interactive=True,
        limits=GuestLimits(resident=64 * 1024 * 1024),
    )
    client = hosted.connect()
    client.started()

    hosted.say("go\n")

    assert "the limit is 64" in client.event(EventType.MEMORY).text
    assert client.event(EventType.EXITED).value == 256 + signal.SIGKILL
    assert hosted.wait().reason is EndReason.MEMORY


def test_shared_pages_count_once_against_a_sampled_limit(hosted: HostedInstance) -> None:
    """Seven processes share 16 MiB and more: over the limit if that counted for each."""
    hosted.shell(
        "x=0123456789abcdef; i=0; while [ $i -lt 20 ]; do x=$x$x; i=$((i+1)); done;"
        "for i in 1 2 3 4 5 6; do (sleep 1; :) & done; wait; exit 2",
        limits=GuestLimits(resident=100 * 1024 * 1024),
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
        pid = client.started()
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
    hosted.shell("echo up; read forever", interactive=True)
    client = hosted.connect()
    pid = client.started()
    wait_until(lambda: hosted.logged() == "up\n")
    assert hosted.process

    names = read_all_of(Path(f"/proc/{pid}/fd"), os.readlink)
    flags = read_all_of(Path(f"/proc/{hosted.process.pid}/fdinfo"), Path.read_text)

    assert len(names) > 3
    assert not [name for name in names if "socket" in name or str(hosted.dirs.state) in name]
    assert all(int(re.findall(r"flags:\s+(\d+)", text)[0], 8) & os.O_CLOEXEC for text in flags)


@pytest.mark.root
def test_a_supervisor_needs_little_memory(hosted: HostedInstance) -> None:
    hosted.shell("echo up; sleep 1000")
    wait_until(lambda: hosted.logged() == "up\n")
    assert hosted.process

    rollup = Path(f"/proc/{hosted.process.pid}/smaps_rollup")

    # What starting takes it gives back a moment later.
    wait_until(lambda: int(re.findall(r"Private_Dirty:\s+(\d+) kB", rollup.read_text())[0]) < 100)
