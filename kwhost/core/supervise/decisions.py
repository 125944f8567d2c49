"""What rules decided, on its way into the journal: bounded for each instance, however often it happens."""

import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import trio

from kwhost.core.model.decisions import Call, Decision, DecisionKind, RuleRef
from kwhost.core.model.events import EventKind
from kwhost.core.policy.shown_calls import show_call
from kwhost.core.supervise.bell import Bell

__all__ = ["WINDOW_SECONDS", "DecisionLog", "Line", "decision_line", "describe_call", "wall_time"]

# Equal lines within this time become one, with how many more there were.
WINDOW_SECONDS = 5.0
# Different ones in that time; of more only their number is told.
_LINES_MAX = 50

_KINDS = {
    DecisionKind.LOGGED: EventKind.LOGGED,
    DecisionKind.DENIED: EventKind.DENIED,
    DecisionKind.KILLED: EventKind.KILLED,
    DecisionKind.ALLOWED: EventKind.ANSWERED,
    DecisionKind.REFUSED: EventKind.ANSWERED,
}


class Line(NamedTuple):
    """An event to be: lines with the same `key` are the same to whoever reads them."""

    kind: EventKind
    key: Hashable
    text: str
    data: Mapping[str, str]


@dataclass(slots=True)
class _Told:
    line: Line
    more: int = 0


def wall_time(monotonic_ns: int) -> float:
    """Seconds since 1970 of a moment of CLOCK_MONOTONIC that is not to come."""
    return time.time() - max(0.0, time.monotonic() - monotonic_ns / 1e9)


def describe_call(call: Call, rule: RuleRef | None) -> tuple[str, dict[str, str]]:
    """A call and the rule that spoke about it: in words, and for programs."""
    shown = show_call(call.name, call.arguments, call.object)
    data = {
        "call": call.name,
        "arguments": " ".join(f"{argument:#x}" for argument in call.arguments),
        "object": call.object,
        "pid": str(call.pid),
    }
    if rule is None:
        return f"{shown} by process {call.pid}", data
    text = f'{shown} by process {call.pid}, by "{rule.text}" of {rule.layer} ({rule.policy})'
    return text, data | {"rule": rule.text, "layer": rule.layer, "policy": rule.policy}


def decision_line(decision: Decision) -> Line:
    """What the journal says of a decision."""
    text, data = describe_call(decision.call, decision.rule)
    data |= {"decision": decision.kind.value, "error": decision.error, "by": decision.by}
    words = [decision.kind.value] if _KINDS[decision.kind] is EventKind.ANSWERED else []
    text = " ".join([*words, text])
    if decision.error:
        text += f": {decision.error}"
    if decision.by:
        text += f", answered by {decision.by}"
    if decision.lost:
        text += f"; {decision.lost} calls before it were too many to be told"
        data["lost"] = str(decision.lost)
    call = decision.call
    key = (decision.kind, call.name, call.object, decision.rule, decision.by)
    return Line(_KINDS[decision.kind], key, text, {name: value for name, value in data.items() if value})


class DecisionLog:
    """Takes lines without waiting; `commit` keeps one event."""

    def __init__(self, commit: Callable[[EventKind, str, Mapping[str, str]], Awaitable[None]]) -> None:
        self._commit = commit
        self._told: dict[Hashable, _Told] = {}
        self._new: list[Line] = []
        self._further = 0
        self._bell = Bell()

    def add(self, line: Line) -> None:
        """Have it told, now or with its like."""
        if line.key in self._told:
            self._told[line.key].more += 1
        elif len(self._told) < _LINES_MAX:
            self._told[line.key] = _Told(line)
            self._new.append(line)
        else:
            self._further += 1
        self._bell.ring()

    async def run(self) -> None:
        """Tell what is added, until cancelled."""
        while True:
            while not self._told:
                await self._bell.wait()
            with trio.move_on_after(WINDOW_SECONDS):
                while True:
                    await self._tell_new()
                    await self._bell.wait()
            await self.finish()

    async def _tell_new(self) -> None:
        while self._new:
            line = self._new.pop(0)
            await self._commit(line.kind, line.text, line.data)

    async def finish(self) -> None:
        """Tell all that is not told yet, and begin anew."""
        await self._tell_new()
        told, self._told = list(self._told.values()), {}
        further, self._further = self._further, 0
        for line, more in ((entry.line, entry.more) for entry in told if entry.more):
            data = {**line.data, "count": str(more)}
            await self._commit(line.kind, f"{line.text}: {more} times more", data)
        if further:
            text = f"{further} further calls were decided on by rules: too many to be told one by one"
            await self._commit(EventKind.NOTICE, text, {"count": str(further)})
