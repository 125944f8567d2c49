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


def test_a_message_comes_with_its_descriptor(pair: Pair) -> None:
    ours, theirs = pair
    with open("/dev/null", "rb") as file:
        socket.send_fds(ours, [b"what\0to do"], [file.fileno()])

        message, fd = receive(theirs.fileno(), 100)

        assert fd is not None
        try:
            assert message == b"what\0to do"
            assert os.path.sameopenfile(fd, file.fileno())
            assert not os.get_inheritable(fd)
        finally:
            os.close(fd)


def test_a_message_comes_without_one(pair: Pair) -> None:
    pair[0].send(b"what to do")

    assert receive(pair[1].fileno(), 100) == (b"what to do", None)


def test_nobody_at_the_other_end_is_no_message(pair: Pair) -> None:
    pair[0].close()

    assert receive(pair[1].fileno(), 100) == (b"", None)


def test_a_message_that_is_too_long_is_an_error(pair: Pair) -> None:
    pair[0].send(b"x" * 101)

    with pytest.raises(OSError, match="too long"):
        receive(pair[1].fileno(), 100)
