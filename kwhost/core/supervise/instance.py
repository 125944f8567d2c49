"""A running instance as trio sees it: events, control messages, and its end."""

import os
import subprocess
from typing import TYPE_CHECKING, Protocol

import trio

from kwhost.core.abi.messages import Event, EventType
from kwhost.core.abi.statistics_page import STATS_SIZE
from kwhost.core.engines.base import Launched
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.supervise.control import Control, Report

if TYPE_CHECKING:
    from kwhost.core.abi.policy_counts import RuleCount
    from kwhost.core.supervise.driver import NetworkDriver

__all__ = ["RunningInstance", "SupervisedInstance"]

# The supervisor ends the instance at once when its lifeline closes; this is for one that hangs.
_CLOSE_SECONDS = 5.0


class RunningInstance(Protocol):
    """An instance whose start was begun; whoever got it closes it."""

    async def wait_event(self) -> Event | None:
        """The next event, in order; None once there can be no more."""

    async def send(self, message: bytes) -> None:
        """Send a control message; silently nothing once the instance is gone."""

    def statistics(self) -> InstanceStatistics | None:
        """As far as counted now; None where the page cannot be read."""

    def rule_counts(self) -> "dict[int, RuleCount]":
        """How often each rule of its policy decided, by the rules' numbers."""

    async def aclose(self) -> None:
        """End the instance if it still runs, and wait until nothing of it is left."""


class SupervisedInstance:
    """An instance behind its `supervise` process; takes the launched instance over, and what drives its
    network, if anything does."""

    def __init__(self, launched: Launched, driver: "NetworkDriver | None" = None) -> None:
        self._launched = launched
        self._driver = driver
        self._control = Control(launched.control)

    async def wait_event(self) -> Event | None:
        """The next event that this version knows; None once `supervise` has hung up."""
        while report := await self._control.receive():
            if report.event.type is not EventType.NETWORK:
                return report.event
            if notice := await self._connect(report):
                return notice
        return None

    async def _connect(self, report: Report) -> Event | None:
        """Have its network driven; a network that was lost stays so, which the answer tells."""
        from kwhost.core.supervise.driving import LOST, drive  # few instances need it

        try:
            if report.event.value:
                return report.event._replace(type=EventType.NOTICE, text=LOST)
            if self._driver and report.fds:
                await drive(self._driver, report.fds, self._control.send)
            return None
        finally:
            for fd in report.fds:
                os.close(fd)

    async def send(self, message: bytes) -> None:
        """Send a control message; an instance that is gone no longer cares."""
        await self._control.send(message)

    def statistics(self) -> InstanceStatistics | None:
        """What the instance's monitors have counted."""
        from kwhost.core.abi.statistics import decode_statistics  # most runs do not look

        launched = self._launched
        page = os.pread(launched.stats, STATS_SIZE, 0)
        return decode_statistics(page, launched.started_ns, notified_only=launched.notified_only)

    def rule_counts(self) -> "dict[int, RuleCount]":
        """How often each rule of its policy decided, by the rules' numbers."""
        from kwhost.core.abi.policy_counts import read_counts  # as above

        return read_counts(self._launched.stats)

    async def aclose(self) -> None:
        """Cut the lifeline, wait until `supervise` has cleaned up, and let go of everything."""
        process = self._launched.process
        with trio.CancelScope(shield=True):
            os.close(self._launched.lifeline)
            with trio.move_on_after(_CLOSE_SECONDS) as limit:
                await _wait_process(process)
            if limit.cancelled_caught:
                process.kill()
            process.wait()
            if self._driver:
                self._driver.end()
            self._control.close()
            os.close(self._launched.stats)


async def _wait_process(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    pidfd = os.pidfd_open(process.pid)
    try:
        await trio.lowlevel.wait_readable(pidfd)
    finally:
        os.close(pidfd)
