"""Paths under a policy with rules about them: symbolic links, and sockets of the file system."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.workshop import open_workshop
from tests.functional.hosted import HostedInstance
from tests.functional.policies import EXECUTE, READ, WRITE, ByHand

EACCES = 13


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path, virtual: bool) -> Iterator[HostedInstance]:
    """One with the program `paths`, and a /tmp with a file that is refused."""
    workshop = open_workshop()
    program = workshop.build(Path(__file__).with_name("policy_paths.c"))
    shutil.copy(workshop.folder / Path(program).name, busybox_root / "bin/paths")
    for name in ("tmp", "tmp/kept"):
        (busybox_root / name).mkdir()
        (busybox_root / name).chmod(0o777)
    (busybox_root / "tmp/priv").write_text("secret\n")
    hosted = HostedInstance(tmp_path, busybox_root, virtual=virtual)
    yield hosted
    hosted.close()


@pytest.fixture
def datagrams(instance: HostedInstance, busybox_root: Path) -> Iterator[socket.socket]:
    """What arrives at a socket that may not be reached; beside it is one for connections."""
    kept = busybox_root / "tmp/kept"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream,
    ):
        for each, name in ((datagrams, "datagram"), (stream, "stream")):
            each.setblocking(False)
            each.bind(str(kept / name))
            (kept / name).chmod(0o777)
        stream.listen()
        yield datagrams


def _ran(instance: HostedInstance, what: str) -> list[str]:
    policy = ByHand().other_paths(0, ("ERRNO", EACCES, 9))
    policy.path("/bin/**", READ | EXECUTE).path("/proc/**", READ)
    policy.path("/tmp/**", READ | WRITE, ("ERRNO", EACCES, 3))
    policy.path("/tmp/priv", 0, ("ERRNO", EACCES, 4)).path("/tmp/kept/**", READ)
    instance.start("/bin/paths", what, policy=policy.compiled())
    assert instance.wait().status == 0, instance.log()
    return [line.text for line in instance.log()]


def test_attributes_of_what_may_only_be_read_stay(instance: HostedInstance, busybox_root: Path) -> None:
    for name in ("open", "kept/file"):
        (busybox_root / "tmp" / name).write_text("")

    assert _ran(instance, "attributes") == ["/tmp/open: 0 refused", "/tmp/kept/file: 2 refused"]


def test_links_are_followed_to_where_they_lead_at_the_time(instance: HostedInstance) -> None:
    assert _ran(instance, "links") == [
        "first: one",
        "again: one",
        "relative: one",
        "missing: ENOENT",
        "moved: two",
        "around: one",
        "twice: two",
        "twice again: two",
        "circle: ELOOP",
        "directory: one",
        "last: two",
        "last again: two",
        "not followed: ELOOP",
        "refused: EACCES",
        "made: ok",
        "is there: yes",
        "proc: two",
    ]


def _received(datagrams: socket.socket) -> bytes:
    try:
        return datagrams.recv(1)
    except BlockingIOError:
        return b""


def test_sockets_are_reached_where_they_may_be_written(
    instance: HostedInstance, datagrams: socket.socket
) -> None:
    assert _ran(instance, "sockets") == [
        "allowed: ok",
        "refused: EACCES",
        "relative: EACCES",
        "through a link: EACCES",
        "missing: ENOENT",
        "no socket: ECONNREFUSED",
        "another type: EPROTOTYPE",
        "nobody there: ECONNREFUSED",
        "abstract: ok",
        "of the internet: EAFNOSUPPORT",
        "no descriptor: EBADF",
        "sendto: ok",
        "sendmsg: ok",
        "received: 1 1",
        "sendto refused: EACCES",
        "sendmsg refused: EACCES",
        "connect refused: EACCES",
        "connect: ok",
        "of a stream: EOPNOTSUPP",
    ]
    assert _received(datagrams) == b""


def test_calls_wait_for_room_at_a_socket_that_is_judged(instance: HostedInstance) -> None:
    assert _ran(instance, "waits") == [
        "full: EAGAIN",
        "full for a moment: EAGAIN",
        "room: ok",
        "first: ok",
        "no waiting: EAGAIN",
        "interrupted: EINTR",
        "waited: ok",
        "waits still: yes",
    ]


def test_a_link_that_changes_during_the_call_never_leads_to_another_socket(
    instance: HostedInstance, datagrams: socket.socket
) -> None:
    assert _ran(instance, "race") == ["sent and refused"]
    assert _received(datagrams) == b""
