"""Sessions: connections to the streams of an instance's program, or of a further program in it."""

import os
import time
from contextlib import ExitStack, suppress
from typing import Protocol

import trio

from kwhost.core.abi.messages import AttachFlag, EventType, attach, execute, exit_status, resize, send_signal
from kwhost.core.abi.record import encode_exec
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.engines.kvm_device import open_kvm
from kwhost.core.engines.launch import sealed_record
from kwhost.core.errors import EXIT_INTERNAL, EXIT_SIGNAL_BASE, Conflict, LaunchError
from kwhost.core.model.instance import Engine, TerminalSize
from kwhost.core.supervise.control import Control, Report
from kwhost.core.supervise.hosting import ExecRequest, StdioFds
from kwhost.core.supervise.planning import ExecPlan

__all__ = ["AttachedSession", "ExecSession", "Pipes", "Program", "discard_output", "start_exec"]

_DISCARDED = 64 * 1024


class Pipes:
    """Pipes for a program's standard streams: the program's ends to pass on, ours as streams."""

    def __init__(self, *, stdin: bool, stderr: bool) -> None:
        self.stdin: trio.lowlevel.FdStream | None = None
        self.stderr: trio.lowlevel.FdStream | None = None
        with ExitStack() as undo:
            theirs = [-1, -1, -1]
            ours = [-1, -1, -1]
            for number, wanted in enumerate((stdin, True, stderr)):
                if wanted:
                    read, write = os.pipe2(os.O_CLOEXEC)
                    undo.callback(os.close, read)
                    undo.callback(os.close, write)
                    theirs[number], ours[number] = (read, write) if number == 0 else (write, read)
            undo.pop_all()
        self.theirs = StdioFds(*theirs)
        if stdin:
            self.stdin = trio.lowlevel.FdStream(ours[0])
        self.stdout = trio.lowlevel.FdStream(ours[1])
        if stderr:
            self.stderr = trio.lowlevel.FdStream(ours[2])

    def close_theirs(self) -> None:
        """Close the program's ends, once they were passed on."""
        for fd in self.theirs:
            if fd >= 0:
                os.close(fd)
        self.theirs = StdioFds()

    async def aclose(self) -> None:
        """Close everything."""
        self.close_theirs()
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                await trio.aclose_forcefully(stream)


class Program(Protocol):
    """The instance behind an attached session."""

    async def send(self, message: bytes, fds: tuple[int, ...] = ()) -> bool:
        """Send a control message; False where nobody takes it any more."""

    async def wait_exit(self) -> int:
        """Wait for the end of the run; its exit status."""


class AttachedSession:
    """The instance's own program."""

    def __init__(self, program: Program, pipes: Pipes) -> None:
        self._program = program
        self._pipes = pipes

    @property
    def stdin(self) -> trio.abc.SendStream | None:
        """See hosting.Session."""
        return self._pipes.stdin

    @property
    def stdout(self) -> trio.abc.ReceiveStream:
        """See hosting.Session."""
        return self._pipes.stdout

    @property
    def stderr(self) -> trio.abc.ReceiveStream | None:
        """See hosting.Session."""
        return self._pipes.stderr

    async def connect(self, *, stdin: bool) -> None:
        """Have a running program's streams come here. Raises Conflict where it has ended."""
        theirs = self._pipes.theirs
        flags = AttachFlag.OUTPUT | (AttachFlag.STDIN if stdin else AttachFlag(0))
        # A terminal has one output; the second descriptor is given all the same.
        outputs = (theirs.stdout, theirs.stderr if theirs.stderr >= 0 else theirs.stdout)
        fds = (theirs.stdin, *outputs) if stdin else outputs
        try:
            if not await self._program.send(attach(flags), fds):
                raise Conflict("the instance has ended")
        finally:
            self._pipes.close_theirs()

    async def resize(self, size: TerminalSize) -> None:
        """See hosting.Session."""
        await self._program.send(resize(size.rows, size.columns))

    async def signal(self, number: int) -> None:
        """See hosting.Session."""
        await self._program.send(send_signal(number))

    async def wait(self) -> int:
        """See hosting.Session."""
        return await self._program.wait_exit()

    async def aclose(self) -> None:
        """See hosting.Session."""
        await self._pipes.aclose()


class ExecSession:
    """A further program; its connection to `supervise` is its lifeline."""

    def __init__(self, control: Control, pipes: Pipes | None, master: trio.lowlevel.FdStream | None) -> None:
        self._control = control
        self._pipes = pipes
        self._master = master
        self._status: int | None = None

    @property
    def stdin(self) -> trio.abc.SendStream | None:
        """See hosting.Session."""
        return self._master or (self._pipes.stdin if self._pipes else None)

    @property
    def stdout(self) -> trio.abc.ReceiveStream:
        """See hosting.Session."""
        if self._master:
            return self._master
        assert self._pipes
        return self._pipes.stdout

    @property
    def stderr(self) -> trio.abc.ReceiveStream | None:
        """See hosting.Session."""
        return self._pipes.stderr if self._pipes else None

    async def resize(self, size: TerminalSize) -> None:
        """See hosting.Session."""
        await self._control.send(resize(size.rows, size.columns))

    async def signal(self, number: int) -> None:
        """See hosting.Session."""
        await self._control.send(send_signal(number))

    async def wait(self) -> int:
        """See hosting.Session."""
        while self._status is None:
            report = await self._control.receive()
            if report is None:
                self._status = EXIT_SIGNAL_BASE + 9  # the instance ended, and everything in it
            elif report.event.type is EventType.EXITED:
                self._status = exit_status(report.event.value)
            elif report.event.type is EventType.FAILED:
                self._status = report.event.value
        return self._status

    async def aclose(self) -> None:
        """See hosting.Session."""
        self._control.close()
        if self._pipes:
            await self._pipes.aclose()
        if self._master:
            await trio.aclose_forcefully(self._master)


async def discard_output(session: ExecSession) -> int:
    """Let a program write what it wants, and wait for its end; its exit status."""

    async def discard(stream: trio.abc.ReceiveStream) -> None:
        with suppress(trio.BrokenResourceError):
            while await stream.receive_some(_DISCARDED):
                pass

    async with trio.open_nursery() as nursery:
        for stream in filter(None, (session.stdout, session.stderr)):
            nursery.start_soon(discard, stream)
        status = await session.wait()
        nursery.cancel_scope.cancel()
    return status


async def start_exec(
    dirs: InstanceDirs,
    request: ExecRequest,
    plan: ExecPlan,
    engine: str,
) -> ExecSession:
    """Start a further program in an instance of that engine. Raises Conflict, LaunchError and KvmError."""
    connection = dirs.connect()
    if connection is None:
        raise Conflict("the instance does not run")
    control = Control(connection)
    pipes = None if request.terminal else Pipes(stdin=request.interactive, stderr=True)
    try:
        await _send_exec(control, request, plan, pipes, engine)
        return ExecSession(control, pipes, _master(await _wait_started(control)))
    except BaseException:
        control.close()
        if pipes:
            with trio.CancelScope(shield=True):
                await pipes.aclose()
        raise


async def _send_exec(
    control: Control, request: ExecRequest, plan: ExecPlan, pipes: Pipes | None, engine: str
) -> None:
    encoded = encode_exec(
        request.command,
        environment=plan.environment,
        workdir=plan.workdir,
        identity=plan.identity,
        terminal=request.terminal,
        interactive=request.interactive,
        started_ns=time.monotonic_ns(),
    )
    with ExitStack() as ends:
        record = sealed_record(encoded)
        ends.callback(os.close, record)
        fds = [record]
        if engine != Engine.PROCESS.value:
            fds.append(open_kvm())
            ends.callback(os.close, fds[-1])
        if pipes:
            ends.callback(pipes.close_theirs)
            stdin = pipes.theirs.stdin
            if stdin < 0:
                stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
                ends.callback(os.close, stdin)
            fds += [stdin, pipes.theirs.stdout, pipes.theirs.stderr]
        if not await control.send(execute(), fds):
            raise Conflict("the instance has just ended")


async def _wait_started(control: Control) -> Report:
    while report := await control.receive():
        if report.event.type is EventType.STARTED:
            return report
        if report.event.type is EventType.EXITED:
            break
        if report.event.type is EventType.FAILED:
            raise LaunchError(report.event.text or "the program did not start", report.event.value)
    raise LaunchError("the instance ended before the program started", EXIT_INTERNAL)


def _master(report: Report) -> trio.lowlevel.FdStream | None:
    return trio.lowlevel.FdStream(report.fds[0]) if report.fds else None
