"""One run of a hosted instance: from the moment its `supervise` is there until that has hung up.

It holds what belongs to the run: the connection, the statistics page, the cgroup, the probes. What any of it
means for the instance is decided by whoever watches.
"""

import os
import signal
import time
from contextlib import suppress
from functools import partial
from typing import Protocol

import trio

from kwhost.core.abi.messages import Event, EventType, hello, replace_policy, send_signal, watch_log
from kwhost.core.abi.policy_counts import RuleCount, read_counts
from kwhost.core.abi.statistics import decode_statistics
from kwhost.core.abi.statistics_page import STATS_SIZE
from kwhost.core.cgroups.group import Cgroup
from kwhost.core.engines.launch import policy_file
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.model.status import Health
from kwhost.core.supervise.bell import Bell
from kwhost.core.supervise.control import Control, Report
from kwhost.core.supervise.driver import NetworkDriver
from kwhost.core.supervise.driving import NetworkUpkeep
from kwhost.core.supervise.launching import Launch

__all__ = ["InstanceRun", "RunWatcher"]

# `supervise` answers at once; this is for one that hangs.
_POLICY_SECONDS = 10.0


class RunWatcher(Protocol):
    """Is told what happens in a run, in order."""

    async def on_running(self) -> None:
        """The program runs."""

    async def on_notice(self, text: str) -> None:
        """Something is weaker than asked, or was lost."""

    def on_logged(self) -> None:
        """There is something new in the log."""

    async def on_policy(self, event: Event) -> None:
        """A policy decided, or asks."""

    async def while_running(self) -> None:
        """What is to go on while the program runs; cancelled at its end."""


class InstanceRun:
    """`launch` is None for a run that an earlier daemon began, `control` where nobody is there any more;
    `driver` drives its network if it waits for one. Without monitors (engine `process`) little is counted."""

    def __init__(
        self,
        watcher: RunWatcher,
        group: Cgroup,
        launch: Launch | None,
        control: Control | None,
        driver: NetworkDriver | None = None,
        *,
        has_monitors: bool = True,
    ) -> None:
        self.group = group
        self.pid: int | None = None
        self.health = Health.NONE
        self.timed_out = False
        self.memory_exceeded = ""
        self.frozen = False
        self.cleaned = trio.Event()
        self._watcher = watcher
        self.has_monitors = has_monitors
        self._launch = launch
        self._control = control
        self._stats = launch.stats if launch else -1
        self._started_ns = time.monotonic_ns()
        self._policy_answer: Event | None = None
        self._policy_bell = Bell()
        self._network = NetworkUpkeep(driver, self.send, watcher.on_notice) if driver else None

    @property
    def is_adopted(self) -> bool:
        """An earlier daemon began it."""
        return self._launch is None

    @property
    def is_over(self) -> bool:
        """`supervise` has hung up."""
        return self._control is None

    async def watch(self) -> None:
        """Follow the run to its end; cancelled, the instance goes on without anybody watching."""
        control = self._control
        try:
            async with trio.open_nursery() as nursery:
                if control and await control.send(hello()):
                    while report := await control.receive():
                        if report.event.type is EventType.NETWORK and self._network and report.fds:
                            lost = bool(report.event.value)
                            nursery.start_soon(partial(self._network.connect, report.fds, lost=lost))
                        else:
                            await self._handle(report, nursery)
                nursery.cancel_scope.cancel()
        finally:
            self._control = None
            self._policy_bell.ring()
            if control:
                control.close()
        await self._reap()

    async def _handle(self, report: Report, nursery: trio.Nursery) -> None:
        event, fds = report
        match event.type:
            case EventType.HELLO:
                self._keep_statistics(fds, event.time_ns)
                fds = ()
                if event.value:
                    await self._runs(event.extra, nursery)
            case EventType.STARTED:
                await self._runs(event.value, nursery)
            case EventType.LOGGED:
                self._watcher.on_logged()
            case EventType.MEMORY:
                self.memory_exceeded = event.text
            case EventType.NOTICE:
                await self._watcher.on_notice(event.text)
            case EventType.DENIED | EventType.QUESTION | EventType.ANSWERED:
                await self._watcher.on_policy(event)
            case EventType.POLICY:
                self._policy_answer = event
                self._policy_bell.ring()
            case _:
                pass  # the end is told by the exit record
        for fd in fds:
            os.close(fd)

    def _keep_statistics(self, fds: tuple[int, ...], started_ns: int) -> None:
        if fds:
            self.close()
            self._stats, self._started_ns = fds[0], started_ns

    async def _runs(self, pid: int, nursery: trio.Nursery) -> None:
        if self.pid is None:  # the greeting and the event may both tell
            self.pid = pid
            await self._watcher.on_running()
            nursery.start_soon(self._watcher.while_running)

    async def _reap(self) -> None:
        """Wait for a `supervise` that this process started; it ends right after it hung up."""
        if self._launch is None:
            return
        process = self._launch.process
        if process.poll() is None:
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(process.pid)
                try:
                    await trio.lowlevel.wait_readable(pidfd)
                finally:
                    os.close(pidfd)
        process.wait()

    async def send(self, message: bytes, fds: tuple[int, ...] = ()) -> bool:
        """Send a control message; False where nobody takes it any more."""
        return bool(self._control and await self._control.send(message, fds))

    async def replace_policy(self, table: bytes) -> str:
        """Put a compiled policy in force; what `supervise` says against it, "" for nothing. One at a time."""
        self._policy_answer = None
        fd = policy_file(table)
        try:
            if not await self.send(replace_policy(), (fd,)):
                return "it has just ended"
        finally:
            os.close(fd)
        with trio.move_on_after(_POLICY_SECONDS):
            while self._control and self._policy_answer is None:
                await self._policy_bell.wait()
        return self._read_policy_answer()

    def _read_policy_answer(self) -> str:
        answer = self._policy_answer
        if answer is None:
            return "it has just ended" if self.is_over else "its supervisor does not answer"
        return (answer.text or os.strerror(answer.value)) if answer.value else ""

    def rule_counts(self) -> dict[int, RuleCount]:
        """How often each rule of its policies decided, by the rules' numbers."""
        return read_counts(self._stats) if self._stats >= 0 else {}

    async def ask_for_log(self) -> None:
        """Have `on_logged` called once there is something new."""
        await self.send(watch_log())

    async def end_after(self, seconds: float) -> None:
        """Kill the program when its time is over."""
        await trio.sleep(max(0.0, seconds))
        self.timed_out = True
        self.thaw()
        await self.send(send_signal(signal.SIGKILL))

    def thaw(self) -> None:
        """Let it go on if it is frozen. Raises LimitError."""
        if self.frozen:
            self.group.thaw()
            self.frozen = False

    def statistics(self, *, histograms: bool = True) -> InstanceStatistics | None:
        """What its monitors have counted."""
        if self._stats < 0:
            return None
        page = os.pread(self._stats, STATS_SIZE, 0)
        return decode_statistics(
            page, self._started_ns, histograms=histograms, notified_only=not self.has_monitors
        )

    def close(self) -> None:
        """Let go of the statistics page."""
        if self._stats >= 0:
            os.close(self._stats)
            self._stats = -1

    async def clean(self) -> None:
        """After the end: nothing of the run is left. Raises LimitError."""
        self.close()
        if self._network:
            self._network.end()
        await self.group.kill()
        await self.group.remove()
        self.cleaned.set()
