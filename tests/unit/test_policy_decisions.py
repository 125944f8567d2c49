"""What rules decided: read from supervise's events, put into words, bounded on the way into the journal."""

from collections.abc import Mapping

import pytest
import trio
from trio.testing import MockClock

from kwhost.core.abi._abi import lib
from kwhost.core.abi.messages import Event, EventType
from kwhost.core.abi.policy_events import DeniedAction, read_denied, read_question
from kwhost.core.model.decisions import Call, RuleRef
from kwhost.core.model.events import EventKind
from kwhost.core.policy.calls import CALLS, plain_arguments
from kwhost.core.policy.shown_calls import show_call
from kwhost.core.supervise.decisions import DecisionLog, Line, describe_call

RULE = RuleRef(layer="tenant acme", policy="closed", text="errno:EPERM mkdir")


def denied(text: str) -> Event:
    return Event(EventType.DENIED, 5, 1_000, text, CALLS["mkdir"])


def test_a_denied_call_is_read() -> None:
    call = read_denied(denied(f"7 8 {lib.KW_POLICY_ERRNO} 1 7ffe 1ff 0 0 0 0 3 /a b"))

    assert call
    assert (call.rule, call.call, call.pid, call.error, call.lost) == (5, CALLS["mkdir"], 7, 1, 3)
    assert (call.action, call.arguments[:2], call.object) == (DeniedAction.ERRNO, (0x7FFE, 0o777), "/a b")


def test_a_question_is_read() -> None:
    call = read_question(Event(EventType.QUESTION, 5, 1_000, "9 7 8 1500 1 2 3 4 5 ffffffffffffffff ", 42))

    assert call
    assert (call.question, call.pid, call.remaining, call.object) == (9, 7, 1.5, "")
    assert call.arguments[-1] == 2**64 - 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "7 8 3 1 7ffe 1ff 0 0 0 0",
        "7 8 9 1 0 0 0 0 0 0 0 x",
        "-7 8 3 1 0 0 0 0 0 0 0 x",
        "a b c d e f g h i j k l",
    ],
)
def test_what_makes_no_sense_is_no_event(text: str) -> None:
    assert read_denied(denied(text)) is None


@pytest.mark.parametrize(
    ("name", "arguments", "shown"),
    [
        (
            "openat",
            (0xFFFFFF9C, 0x7FFE12345678, 577),
            "openat(-100, 0x7ffe12345678, O_WRONLY|O_CREAT|O_TRUNC)",
        ),
        ("kill", (0xFFFFFFFFFFFFFFFF, 9), "kill(-1, 9)"),
        ("rmdir", (0x7FFE12345678,), "rmdir()"),
        ("call_999", (1, 2), "call_999()"),
    ],
)
def test_calls_are_shown_as_the_kernel_sees_their_arguments(
    name: str, arguments: tuple[int, ...], shown: str
) -> None:
    assert show_call(name, arguments) == shown


def test_addresses_do_not_tell_calls_apart_and_upper_bits_neither() -> None:
    assert plain_arguments("mkdir", (0x1000, 0o777)) == plain_arguments("mkdir", (0x2000, 1 << 40 | 0o777))
    assert plain_arguments("mkdir", (0x1000, 0o777)) != plain_arguments("mkdir", (0x1000, 0o700))


def test_a_call_is_described_with_rule_and_process() -> None:
    call = Call(name="mkdir", arguments=(0x1000, 511), object="/x", pid=7)

    text, data = describe_call(call, RULE)

    assert text == 'mkdir(4096, 511) of /x by process 7, by "errno:EPERM mkdir" of tenant acme (closed)'
    assert data["arguments"] == "0x1000 0x1ff"
    assert (data["rule"], data["layer"], data["policy"]) == ("errno:EPERM mkdir", "tenant acme", "closed")


class Kept:
    """A log and the events that it made."""

    def __init__(self) -> None:
        self.events: list[tuple[EventKind, str, Mapping[str, str]]] = []
        self.log = DecisionLog(self._commit)

    async def _commit(self, kind: EventKind, text: str, data: Mapping[str, str]) -> None:
        await trio.lowlevel.checkpoint()
        self.events.append((kind, text, data))

    def add(self, key: str) -> None:
        self.log.add(Line(EventKind.DENIED, key, key, {"call": key}))


async def test_equal_lines_become_one_and_their_number(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    kept = Kept()
    nursery.start_soon(kept.log.run)

    for _ in range(10):
        kept.add("a")
    kept.add("b")
    await trio.sleep(1)
    assert [text for _, text, _ in kept.events] == ["a", "b"]

    await trio.sleep(10)
    assert kept.events[2:] == [(EventKind.DENIED, "a: 9 times more", {"call": "a", "count": "9"})]

    kept.add("a")
    await trio.sleep(1)
    assert [text for _, text, _ in kept.events[3:]] == ["a"]


async def test_a_flood_of_different_lines_is_counted(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    kept = Kept()
    nursery.start_soon(kept.log.run)

    for number in range(1000):
        kept.add(str(number))
    await trio.sleep(10)

    assert len(kept.events) == 51
    assert kept.events[-1][0] is EventKind.NOTICE
    assert kept.events[-1][2] == {"count": "950"}


async def test_at_the_end_of_a_run_all_is_told() -> None:
    kept = Kept()
    kept.add("a")
    kept.add("a")

    await kept.log.finish()

    assert [text for _, text, _ in kept.events] == ["a", "a: 1 times more"]
