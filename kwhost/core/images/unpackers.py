"""Processes that unpack: each is for one archive alone, and one may begin before it is known which."""

import socket
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple, Protocol, Self

from kwhost.core.model.ids import IdRange

__all__ = ["Lease", "LeaseIds", "Unpacker", "Unpackers"]

_MODULE = "kwhost.core.images.unpack_process"


class Lease(Protocol):
    """Ids that nobody else has until it is closed; core.engines.id_ranges has them."""

    @property
    def ids(self) -> IdRange:
        """Which they are."""

    def close(self) -> None:
        """Give them back."""


LeaseIds = Callable[[], Lease]


class Unpacker(NamedTuple):
    """A process that waits for what to do on the other end of `control`."""

    process: subprocess.Popen[bytes]
    control: socket.socket

    def end(self) -> None:
        """Have it gone."""
        self.control.close()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


def _start() -> Unpacker:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-X", "utf8", "-m", _MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                env={},
                cwd="/",
            )
        except OSError:
            ours.close()
            raise
    return Unpacker(process, ours)


class Unpackers:
    """For one thread, with whose end they end; `lease_ids` gives the ids that they have."""

    def __init__(self, lease_ids: LeaseIds) -> None:
        self.lease_ids = lease_ids
        self._ready: Unpacker | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ready:
            self._ready.end()

    def prepare(self) -> None:
        """Have one begin: half of what a small layer costs is over when its archive is there."""
        self._ready = self._ready or _start()

    def take(self) -> Unpacker:
        """One that nobody else has; whoever takes it ends it."""
        taken, self._ready = self._ready or _start(), None
        return taken
