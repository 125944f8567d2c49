"""What the process that unpacks images is told."""

import os
import socket
from collections.abc import Iterator

import pytest

from kwhost.core.abi.unpack_jail import receive

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("count", [1, 2])
def test_a_message_comes_with_its_descriptors(count: int, pair: Pair) -> None:
    ours, theirs = pair
    with open("/dev/null", "rb") as null, open("/dev/zero", "rb") as zero:
        files = [null, zero][:count]
        socket.send_fds(ours, [b"what\0to do"], [file.fileno() for file in files])

        message, fds = receive(theirs.fileno(), 100)

        try:
            assert message == b"what\0to do"
            assert [os.fstat(fd).st_rdev for fd in fds] == [os.fstat(file.fileno()).st_rdev for file in files]
            assert not any(map(os.get_inheritable, fds))
        finally:
            for fd in fds:
                os.close(fd)


def test_a_message_comes_without_any(pair: Pair) -> None:
    pair[0].send(b"what to do")

    assert receive(pair[1].fileno(), 100) == (b"what to do", [])


def test_nobody_at_the_other_end_is_no_message(pair: Pair) -> None:
    pair[0].close()

    assert receive(pair[1].fileno(), 100) == (b"", [])


def test_a_message_that_is_too_long_is_an_error(pair: Pair) -> None:
    pair[0].send(b"x" * 101)

    with pytest.raises(OSError, match="too long"):
        receive(pair[1].fileno(), 100)
