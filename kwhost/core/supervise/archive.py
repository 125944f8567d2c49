"""Copying files out of and into running instances, as tar archives in pieces.

Each copy is a process with the rights of the instance's own root (archive_process): nothing that an instance
or an archive contains is looked at with the daemon's rights. Its pipe is the only buffer, so whoever reads or
sends slowly slows it down.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import trio

from kwhost.core.abi.messages import EventType, ask_root, clean_text
from kwhost.core.cgroups.group import Cgroup
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.errors import (
    Conflict,
    HostError,
    KwhostError,
    NotFound,
    PermissionDenied,
    UsageError,
)
from kwhost.core.model.ids import InstanceId
from kwhost.core.supervise.control import Control

__all__ = ["Copied", "FileCopies"]

_PIECE = 64 * 1024
_ERROR_MAX = 16 * 1024
_COPIES_MAX = 8  # at once, of one instance
_ANSWER_SECONDS = 10.0
_END_SECONDS = 5.0
_KINDS = {kind.__name__: kind for kind in (Conflict, HostError, NotFound, PermissionDenied, UsageError)}
_MODULE = "kwhost.core.supervise.archive_process"


class Copied(NamedTuple):
    """The running instance whose files are copied. One without namespaces has only what it wrote itself, in
    the directory `scratch`, which is `real_scratch` on this host."""

    id: InstanceId
    dirs: InstanceDirs
    group: Cgroup
    scratch: str = ""
    real_scratch: str = ""


class FileCopies:
    """All copies of a daemon."""

    def __init__(self) -> None:
        self._running: Counter[InstanceId] = Counter()

    async def read(self, copied: Copied, path: str) -> AsyncGenerator[bytes, None]:
        """See hosting.Hosting.archive_get. Whoever does not want the rest closes this."""
        with self._seat(copied):
            process = await _start(copied, "read", path)
            try:
                assert process.stdout
                while piece := await process.stdout.receive_some(_PIECE):
                    yield bytes(piece)
                await _check_end(process)
            finally:
                await _close(process)

    async def write(self, copied: Copied, path: str, archive: AsyncIterator[bytes]) -> None:
        """See hosting.Hosting.archive_put."""
        with self._seat(copied):
            process = await _start(copied, "write", path)
            try:
                await _feed(process, archive)
                await _check_end(process)
            finally:
                await _close(process)

    @contextmanager
    def _seat(self, copied: Copied) -> Iterator[None]:
        if self._running[copied.id] >= _COPIES_MAX:
            raise Conflict(f"{_COPIES_MAX} copies of the instance's files go on already; try again later")
        self._running[copied.id] += 1
        try:
            yield
        finally:
            self._running[copied.id] -= 1
            self._running += Counter()  # forgets those without any


async def _start(copied: Copied, operation: str, path: str) -> trio.Process:
    """Raises Conflict, UsageError."""
    if "\0" in path:
        raise UsageError("a path cannot contain a NUL character")
    with ExitStack() as ours:
        fds = await _ask_root(copied.dirs)
        for fd in fds:
            ours.callback(os.close, fd)
        whose = "namespace"
        if copied.scratch:
            whose, path = "owner", _beneath(copied.scratch, path)
            fds = (_open_directory(copied.real_scratch), fds[1])
            ours.callback(os.close, fds[0])
        cgroups = copied.group.open_guest_procs()
        for fd in cgroups:
            ours.callback(os.close, fd)
        command = [sys.executable, "-P", "-X", "utf8", "-m", _MODULE, operation, whose, *map(str, fds)]
        return await trio.lowlevel.open_process(
            [*command, ",".join(map(str, cgroups)), path.encode("utf-8", "surrogateescape")],
            stdin=subprocess.PIPE if operation == "write" else subprocess.DEVNULL,
            stdout=subprocess.PIPE if operation == "read" else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(*fds, *cgroups),
            cwd="/",
        )


def _beneath(scratch: str, path: str) -> str:
    """The path with `scratch` as the root."""
    if path != scratch and not path.startswith(f"{scratch}/"):
        raise Conflict(
            f"without namespaces only what lies beneath {scratch} can be copied, and {path} does not"
        )
    return path.removeprefix(scratch) or "/"


def _open_directory(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Conflict(f"the instance's files cannot be reached: {path}: {error.strerror}") from error


async def _ask_root(dirs: InstanceDirs) -> tuple[int, ...]:
    """Descriptors of the instance's root directory and of its first process."""
    connection = dirs.connect()
    control = Control(connection) if connection else None
    try:
        # A `supervise` of an earlier version does not answer.
        with trio.move_on_after(_ANSWER_SECONDS):
            if control and await control.send(ask_root()):
                return await _receive_root(control)
    finally:
        if control:
            control.close()
    raise Conflict("the instance's files cannot be reached: nobody answers for it")


async def _receive_root(control: Control) -> tuple[int, ...]:
    while report := await control.receive():
        if report.event.type is EventType.ROOT and len(report.fds) == 2:
            return report.fds
        for fd in report.fds:
            os.close(fd)
        if report.event.type is EventType.ROOT:
            break
    raise Conflict("the instance has just ended, and its files with it")


async def _feed(process: trio.Process, archive: AsyncIterator[bytes]) -> None:
    """Pass the archive on, as far as it is wanted."""
    assert process.stdin
    async for piece in archive:
        try:
            await process.stdin.send_all(piece)
        except trio.BrokenResourceError:
            return  # it has ended, and says why
    await process.stdin.aclose()


async def _check_end(process: trio.Process) -> None:
    """Wait for its end. Raises what it failed with."""
    assert process.stderr
    text = b""
    while len(text) < _ERROR_MAX and (piece := await process.stderr.receive_some(_ERROR_MAX)):
        text += piece
    if await process.wait() == 0:
        return
    if process.returncode is not None and process.returncode < 0:
        raise Conflict("the copy was killed: the instance has ended, or its memory is full")
    raise _told_error(text)


def _told_error(text: bytes) -> KwhostError:
    last = text.strip().rpartition(b"\n")[2]
    try:
        told = json.loads(last)
        return _KINDS[told["kind"]](clean_text(told["text"].encode("utf-8", "surrogateescape")))
    except (ValueError, LookupError, TypeError, AttributeError):
        return HostError(f"files cannot be copied: {clean_text(last)}")


async def _close(process: trio.Process) -> None:
    """End it, with time for removing what is half written, and let go of its pipes."""
    with trio.CancelScope(shield=True):
        if process.poll() is None:
            process.terminate()
            with trio.move_on_after(_END_SECONDS):
                await process.wait()
        if process.poll() is None:
            process.kill()
            await process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                await trio.aclose_forcefully(stream)
