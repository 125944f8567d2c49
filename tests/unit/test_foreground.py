"""Watching one instance: its end, its time limit, the operator's signals. The instance is one in memory."""

import os
import signal
from collections.abc import Sequence

import pytest
import trio

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.messages import MESSAGE_SIZE, Event, EventType
from kwhost.core.abi.policy_counts import RuleCount
from kwhost.core.errors import LaunchError
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.supervise.foreground import Outcome, run_foreground


def event(kind: EventType, value: int = 0, text: str = "") -> Event:
    return Event(type=kind, value=value, time_ns=0, text=text)


class MemoryInstance:
    """Reports the events that it was given, then those that signals cause."""

    def __init__(self, events: Sequence[Event | None], *, dies_by_signal: bool = True) -> None:
        self._send, self._receive = trio.open_memory_channel[Event | None](10)
        self.signals: list[int] = []
        self.closed = False
        self._dies_by_signal = dies_by_signal
        for entry in events:
            self._send.send_nowait(entry)

    async def wait_event(self) -> Event | None:
        return await self._receive.receive()

    async def send(self, message: bytes) -> None:
        await trio.lowlevel.checkpoint()
        control = ffi.new("struct kw_message *")
        ffi.memmove(control, message, MESSAGE_SIZE)
        assert control.type == lib.KW_CONTROL_SIGNAL
        self.signals.append(control.value)
        if self._dies_by_signal:
            self._send.send_nowait(event(EventType.EXITED, 256 + control.value))

    def statistics(self) -> InstanceStatistics | None:
        return None

    def rule_counts(self) -> dict[int, RuleCount]:
        return {}

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


async def run(instance: MemoryInstance, timeout: float | None = None) -> tuple[Outcome, list[str]]:
    notices: list[str] = []
    outcome = await run_foreground(instance, timeout=timeout, terminal=None, report=notices.append)
    assert instance.closed
    return outcome, notices


async def test_the_programs_status_is_the_commands() -> None:
    for value, status in ((0, 0), (7, 7), (256 + 11, 139)):
        instance = MemoryInstance([event(EventType.STARTED, 99), event(EventType.EXITED, value, "why")])
        outcome, _ = await run(instance)
        assert (outcome.exit_status, outcome.crash) == (status, "why")


async def test_notices_are_reported() -> None:
    instance = MemoryInstance([event(EventType.NOTICE, text="weaker"), event(EventType.EXITED)])

    assert (await run(instance))[1] == ["weaker"]


@pytest.mark.parametrize(("value", "status"), [(125, 125), (126, 126), (127, 127), (3, 125)])
async def test_a_failed_start_is_an_error_with_the_shells_status(value: int, status: int) -> None:
    instance = MemoryInstance([event(EventType.FAILED, value, "no such program")])

    with pytest.raises(LaunchError, match="no such program") as caught:
        await run(instance)

    assert caught.value.exit_status == status
    assert instance.closed


async def test_a_supervisor_that_vanishes_is_an_error() -> None:
    with pytest.raises(LaunchError, match="supervisor"):
        await run(MemoryInstance([None]))


async def test_the_time_limit_kills(autojump_clock: trio.testing.MockClock) -> None:
    instance = MemoryInstance([])

    outcome, _ = await run(instance, timeout=30)

    assert outcome.exit_status == 124
    assert instance.signals == [signal.SIGKILL]


async def test_an_instance_that_survives_the_kill_is_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    instance = MemoryInstance([], dies_by_signal=False)

    assert (await run(instance, timeout=1))[0].exit_status == 124


async def test_signals_are_passed_on_and_a_second_interrupt_kills() -> None:
    instance = MemoryInstance([], dies_by_signal=False)

    async def interrupt() -> None:
        for count, number in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGINT), start=1):
            os.kill(os.getpid(), number)
            while len(instance.signals) < count:
                await trio.sleep(0.001)
        instance._send.send_nowait(event(EventType.EXITED, 256 + signal.SIGKILL))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start_when_listening, interrupt)
        outcome, _ = await run(instance)

    assert outcome.exit_status == 137
    assert instance.signals == [signal.SIGTERM, signal.SIGINT, signal.SIGKILL]


async def start_when_listening(action: object) -> None:
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        await trio.sleep(0.001)
    assert callable(action)
    await action()
