"""One instance in the foreground: its events, the operator's signals and terminal, its time limit."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import trio

from kwhost.core.abi.messages import Event, EventType, exit_status, resize, send_signal
from kwhost.core.engines.base import Launched
from kwhost.core.errors import EXIT_TIMEOUT, LaunchError
from kwhost.core.model.statistics import CountedRule, InstanceStatistics
from kwhost.core.operator.signals import forwarded_signals, release_signals
from kwhost.core.operator.terminal import OperatorTerminal
from kwhost.core.supervise.instance import RunningInstance, SupervisedInstance

if TYPE_CHECKING:
    from kwhost.core.policy.numbering import Numbering
    from kwhost.core.supervise.driver import NetworkDriver

__all__ = ["Outcome", "run_foreground", "watch_launched"]

# Whoever presses ^C again this soon means it.
_INSIST_SECONDS = 3.0
# Distinct questions that are told of.
_WARNINGS_MAX = 100
# SIGKILL acts at once; an instance that is still there after this long is cut off with its lifeline.
_KILL_SECONDS = 5.0


# Names the rules of an instance's policy.
NameRules = Callable[[], "Numbering"]


def _no_rules() -> "Numbering":
    from kwhost.core.policy.numbering import NO_NUMBERS

    return NO_NUMBERS


class Outcome(NamedTuple):
    """How an instance ended; `rules` of its policy that decided on calls, where statistics were wanted."""

    exit_status: int
    statistics: InstanceStatistics | None
    crash: str = ""
    rules: tuple[CountedRule, ...] = ()


class _Foreground:
    """One run; `report` shows a line to the operator."""

    def __init__(
        self,
        instance: RunningInstance,
        terminal: OperatorTerminal | None,
        report: Callable[[str], None],
        numbering: NameRules,
    ) -> None:
        self._numbering = numbering
        self._warned: set[str] = set()
        self._instance = instance
        self._terminal = terminal
        self._report = report
        self._timed_out = False

    async def run(self, timeout: float | None) -> tuple[int, str]:
        """The exit status, and the line about a crash."""
        watched = [*forwarded_signals(), *([signal.SIGWINCH, signal.SIGCONT] if self._terminal else [])]
        result: tuple[int, str] = EXIT_TIMEOUT, ""
        failure: LaunchError | None = None
        # The terminal is raw only while signals are received here: none can end this process in between.
        with trio.open_signal_receiver(*watched) as signals, self._terminal or nullcontext():
            release_signals()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._forward_signals, signals)
                if timeout is not None:
                    nursery.start_soon(self._enforce_timeout, timeout, nursery.cancel_scope)
                try:
                    result = await self._wait_end()
                except LaunchError as error:
                    failure = error
                nursery.cancel_scope.cancel()
        if failure:
            raise failure
        return (EXIT_TIMEOUT, "") if self._timed_out else result

    async def _wait_end(self) -> tuple[int, str]:
        while event := await self._instance.wait_event():
            match event.type:
                case EventType.EXITED:
                    return exit_status(event.value), event.text
                case EventType.FAILED:
                    raise LaunchError(event.text or "the instance did not start", event.value)
                case EventType.NOTICE:
                    self._report(event.text)
                case EventType.QUESTION:
                    await self._refuse(event)
                case _:
                    pass
        if self._timed_out:
            return EXIT_TIMEOUT, ""
        raise LaunchError("the instance's supervisor ended without saying how the instance did")

    async def _refuse(self, event: Event) -> None:
        """Answer a question: there is nobody here who could."""
        from kwhost.core.supervise.unanswered import refusal  # few policies ask

        found = refusal(event, self._numbering())
        if found is None:
            return
        if found.warning not in self._warned and len(self._warned) < _WARNINGS_MAX:
            self._warned.add(found.warning)
            self._report(found.warning)
        await self._instance.send(found.message)

    async def _forward_signals(self, signals: AsyncIterator[int]) -> None:
        interrupted = -_INSIST_SECONDS
        async for number in signals:
            if number in (signal.SIGWINCH, signal.SIGCONT):
                await self._update_terminal(number)
                continue
            now = trio.current_time()
            insisted = number == signal.SIGINT and now - interrupted < _INSIST_SECONDS
            if number == signal.SIGINT:
                interrupted = now
            await self._instance.send(send_signal(signal.SIGKILL if insisted else number))

    async def _update_terminal(self, number: int) -> None:
        assert self._terminal
        if number == signal.SIGCONT:
            # The shell restored its own modes while this command was stopped.
            self._terminal.enter_raw()
        if size := self._terminal.size():
            await self._instance.send(resize(size.rows, size.columns))

    async def _enforce_timeout(self, timeout: float, whole: trio.CancelScope) -> None:
        await trio.sleep(timeout)
        self._timed_out = True
        await self._instance.send(send_signal(signal.SIGKILL))
        await trio.sleep(_KILL_SECONDS)
        whole.cancel()


async def run_foreground(
    instance: RunningInstance,
    *,
    timeout: float | None,
    terminal: OperatorTerminal | None,
    report: Callable[[str], None],
    want_statistics: bool = False,
    numbering: NameRules = _no_rules,
) -> Outcome:
    """Watch an instance to its end, and close it. Raises KwhostError where it does not start. `numbering`
    names the rules of its policy."""
    try:
        status, crash = await _Foreground(instance, terminal, report, numbering).run(timeout)
        if not want_statistics:
            return Outcome(exit_status=status, statistics=None, crash=crash)
        from kwhost.core.policy.numbering import count_rules  # as seldom as statistics are wanted

        return Outcome(
            exit_status=status,
            statistics=instance.statistics(),
            crash=crash,
            rules=count_rules(instance.rule_counts(), numbering()),
        )
    finally:
        await instance.aclose()


def watch_launched(  # noqa: PLR0913 - what there is to say about a run
    launched: Launched,
    *,
    timeout: float | None,
    terminal: OperatorTerminal | None,
    report: Callable[[str], None],
    want_statistics: bool,
    numbering: NameRules,
    driver: "NetworkDriver | None" = None,
) -> Outcome:
    """Run an event loop that watches a launched instance to its end."""

    async def watch() -> Outcome:
        return await run_foreground(
            SupervisedInstance(launched, driver),
            timeout=timeout,
            terminal=terminal,
            report=report,
            want_statistics=want_statistics,
            numbering=numbering,
        )

    return trio.run(watch)
