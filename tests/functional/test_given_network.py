"""An instance in a network namespace that was made for it, and that is not its own to change."""

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwhost.core.abi.messages import EventType, new_socket
from kwhost.core.model.instance import Identity
from kwhost.net.namespaces import new_namespace
from tests.functional.hosted import HostedInstance, wait_until
from tests.functional.test_join import Joined

pytestmark = [pytest.mark.kvm, pytest.mark.root]

GUEST = Identity(77, 78)
NS_GET_USERNS = 0xB701
WAIT = "exec sleep 1000"


@pytest.fixture
def netns() -> Iterator[int]:
    descriptor = new_namespace()
    yield descriptor
    os.close(descriptor)


def namespace_of(pid: int) -> int:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


def test_the_program_and_those_that_join_are_in_it(hosted: HostedInstance, netns: int) -> None:
    hosted.shell(WAIT, netns=netns)
    first = hosted.connect().started()
    joined = Joined(hosted, ["/bin/sleep", "1000"])

    assert namespace_of(first) == namespace_of(joined.started()) == os.fstat(netns).st_ino


def test_supervise_itself_stays_where_it_was(hosted: HostedInstance, netns: int) -> None:
    hosted.shell(WAIT, netns=netns)
    hosted.connect().started()

    assert hosted.process
    assert namespace_of(hosted.process.pid) == namespace_of(os.getpid())


def test_it_belongs_to_the_host_and_not_to_the_instances_root(hosted: HostedInstance, netns: int) -> None:
    hosted.shell(WAIT, netns=netns)
    first = hosted.connect().started()

    with open(f"/proc/{first}/ns/net") as namespace:
        owner = fcntl.ioctl(namespace, NS_GET_USERNS)

    assert os.fstat(owner).st_ino == Path("/proc/self/ns/user").stat().st_ino
    assert Path(f"/proc/{first}/ns/user").stat().st_ino != os.fstat(owner).st_ino
    os.close(owner)


def test_what_sys_shows_of_the_network_is_its_own(hosted: HostedInstance, netns: int) -> None:
    hosted.shell(WAIT, netns=netns)
    hosted.connect().started()

    assert Joined(hosted, ["/bin/ls", "/sys/class/net"]).finish() == (0, "lo\n", "")


@pytest.mark.parametrize("identity", [Identity(0, 0), GUEST])
def test_everybody_may_bind_a_low_port_and_the_host_reaches_it(
    hosted: HostedInstance, netns: int, identity: Identity
) -> None:
    hosted.start("/bin/busybox", "nc", "-l", "-p", "80", "-e", "/bin/id", netns=netns, identity=identity)
    client = hosted.connect()
    client.started()

    def call() -> str | None:
        client.send(new_socket(socket.AF_INET, socket.SOCK_STREAM))
        while True:
            event, fds = client.receive()
            assert event, "it has ended"
            if event.type is EventType.SOCKET:
                break
        with socket.socket(fileno=fds[0]) as caller:
            if caller.connect_ex(("127.0.0.1", 80)):
                return None
            return caller.makefile().read()

    assert f"uid={identity.uid}" in wait_until(call)


def test_without_one_it_gets_an_empty_one(hosted: HostedInstance) -> None:
    hosted.shell(WAIT)

    assert namespace_of(hosted.connect().started()) != namespace_of(os.getpid())
