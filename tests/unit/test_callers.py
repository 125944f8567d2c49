"""Who is at the other end of the API's socket."""

import os
import resource
import socket
from collections.abc import Iterator

import pytest

from kwhost.core.api.auth import identify

# What select(2) can look at, in every C library.
SELECTABLE = 1024


@pytest.fixture
def _many_descriptors() -> Iterator[None]:
    """As many as a daemon with hundreds of instances has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * SELECTABLE:
        pytest.skip(f"the hard limit of {hard} open files is too low")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * SELECTABLE, hard))
    fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(SELECTABLE)]
    yield
    for fd in fds:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_descriptors")
def test_a_caller_is_known_however_many_descriptors_are_open() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        caller = identify(ours)

    assert (caller.pid, caller.uid) == (os.getpid(), os.geteuid())
    assert caller.local
