"""Starting `supervise` for one instance, and talking to it.

Standard streams, the launch record, the control socket, the lifeline, the KVM device and the statistics page
go to it as inherited descriptors. When this process ends, in whatever way, the kernel closes
the lifeline's write end, and `supervise` ends the instance.
"""

import fcntl
import os
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import trio

from kwhost.core.abi import _abi
from kwhost.core.abi.messages import MESSAGE_SIZE, Event
from kwhost.core.abi.record import LaunchFds, encode_launch
from kwhost.core.abi.statistics import STATS_SIZE, decode_statistics, new_statistics
from kwhost.core.errors import HostError
from kwhost.core.model.instance import LaunchPlan
from kwhost.core.model.statistics import InstanceStatistics

__all__ = ["SupervisedInstance", "launch_supervised", "monitor_path"]

# The supervisor ends the instance at once when its lifeline closes; this is for one that hangs.
_CLOSE_SECONDS = 5.0
_SEALS_STATS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_SEALS_RECORD = _SEALS_STATS | fcntl.F_SEAL_WRITE


def monitor_path() -> Path:
    """The monitor's executable; it is installed beside the ABI module that it was built with."""
    assert _abi.__file__
    path = Path(_abi.__file__).parents[2] / "libexec" / "kwhost-monitor"
    if not path.is_file():
        raise HostError(f"the monitor {path} is missing: install kwhost again")
    return path


def _memory_file(name: str, content: bytes, seals: int) -> int:
    """A sealed memfd with the content, read from its start."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd


class SupervisedInstance:
    """An instance behind its `supervise` process; made by `launch_supervised` alone."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: socket.socket,
        lifeline: int,
        stats: int,
        started_ns: int,
    ) -> None:
        self._process = process
        self._control = trio.socket.from_stdlib_socket(control)
        self._lifeline = lifeline
        self._stats = stats
        self._started_ns = started_ns

    async def wait_event(self) -> Event | None:
        """The next event that this version knows; None once `supervise` has hung up."""
        while True:
            try:
                data = await self._control.recv(MESSAGE_SIZE + 1)
            except ConnectionError:
                return None
            if not data:
                return None
            if event := Event.decode(data):
                return event

    async def send(self, message: bytes) -> None:
        """Send a control message; an instance that is gone no longer cares."""
        try:
            await self._control.send(message)
        except (BrokenPipeError, ConnectionError):
            await trio.lowlevel.checkpoint()

    def statistics(self) -> InstanceStatistics | None:
        """What the instance's monitors have counted."""
        return decode_statistics(os.pread(self._stats, STATS_SIZE, 0), self._started_ns)

    async def aclose(self) -> None:
        """Cut the lifeline, wait until `supervise` has cleaned up, and let go of everything."""
        with trio.CancelScope(shield=True):
            os.close(self._lifeline)
            with trio.move_on_after(_CLOSE_SECONDS) as limit:
                await _wait_process(self._process)
            if limit.cancelled_caught:
                self._process.kill()
            self._process.wait()
            self._control.close()
            os.close(self._stats)


async def _wait_process(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    pidfd = os.pidfd_open(process.pid)
    try:
        await trio.lowlevel.wait_readable(pidfd)
    finally:
        os.close(pidfd)


def launch_supervised(plan: LaunchPlan, kvm: int, keep: tuple[int, ...] = ()) -> SupervisedInstance:
    """Start the supervisor; `keep`: descriptors that it holds on to. The caller keeps its own copies."""
    started_ns = time.monotonic_ns()
    with ExitStack() as undo, ExitStack() as child_ends:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        undo.callback(ours.close)
        child_ends.callback(theirs.close)
        lifeline_read, lifeline_write = os.pipe2(os.O_CLOEXEC)
        undo.callback(os.close, lifeline_write)
        child_ends.callback(os.close, lifeline_read)
        stats = _memory_file("kwhost-stats", new_statistics(), _SEALS_STATS)
        undo.callback(os.close, stats)
        fds = LaunchFds(control=theirs.fileno(), lifeline=lifeline_read, kvm=kvm, stats=stats)
        record = _memory_file("kwhost-launch", encode_launch(plan, fds, started_ns), _SEALS_RECORD)
        child_ends.callback(os.close, record)
        process = subprocess.Popen(
            [monitor_path(), "supervise", str(record)],
            env={},
            pass_fds=(record, fds.control, fds.lifeline, fds.kvm, fds.stats, *keep),
        )
        undo.pop_all()
        return SupervisedInstance(process, ours, lifeline_write, stats, started_ns)
