"""Calls that wait until somebody allows them: policies made by hand that ask, real programs."""

import os
import signal
from pathlib import Path

import pytest

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.messages import Event, EventType, answer, send_signal
from tests.functional.approver import (
    ALLOWED,
    ASK,
    PLACES,
    REFUSED,
    UNANSWERED,
    WITHDRAWN,
    Approver,
    Question,
    asking,
    finished,
    prepared,
    shell,
    start,
)
from tests.functional.hosted import HostedInstance, New, wait_until
from tests.functional.policies import ByHand, number_of

EPERM = 1


@pytest.fixture
def instance(new: New, busybox_root: Path, virtual: bool) -> HostedInstance:
    return prepared(new, busybox_root, virtual=virtual)


@pytest.mark.hw
def test_an_allowed_call_goes_on(instance: HostedInstance) -> None:
    approver = shell(instance, asking(), "umask 0; mkdir -m 700 /tmp/new && echo made")

    question = approver.question()

    assert (question.rule, question.call, question.text) == (7, number_of("mkdir"), "")
    assert question.arguments[2:] == [0, 0, 0, 0]
    assert 25_000 < question.remaining_ms <= 30_000
    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(instance) == ["made"]


@pytest.mark.hw
def test_a_refused_call_fails(instance: HostedInstance) -> None:
    approver = shell(instance, asking(), "mkdir /tmp/new; echo $?")

    assert approver.answer(approver.question(), allow=False) == REFUSED
    assert finished(instance) == ["mkdir: can't create directory '/tmp/new': Operation not permitted", "1"]


@pytest.mark.hw
def test_without_an_answer_it_is_refused(instance: HostedInstance) -> None:
    approver = shell(instance, asking().timeout(300), "mkdir /tmp/new; echo $?")

    question = approver.question()

    assert question.remaining_ms <= 300
    assert approver.ending(question) == UNANSWERED
    assert finished(instance)[1] == "1"


def test_what_is_no_answer_changes_nothing(instance: HostedInstance) -> None:
    approver = shell(instance, asking(), "mkdir /tmp/new && echo made")
    question = approver.question()

    approver.client.send(answer(question.number + 1, allow=True))
    approver.client.send(answer(0, allow=True))
    strange = ffi.new("struct kw_message *")
    strange.type, strange.value, strange.extra = lib.KW_CONTROL_ANSWER, question.number, 2
    approver.client.send(bytes(ffi.buffer(strange)))

    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(instance) == ["made"]


@pytest.mark.hw
@pytest.mark.parametrize("policy", [asking(), ByHand().path("/tmp/new", 0, ASK)], ids=["call", "path"])
def test_other_threads_run_on(instance: HostedInstance, policy: ByHand) -> None:
    approver = start(instance, policy, "/bin/questions", "beside")
    question = approver.question()

    instance.say("go\n")
    wait_until(lambda: instance.logged() == "beside\n")

    assert question.tid != question.pid
    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(instance) == ["beside", "mkdir: ok"]


def test_a_thread_that_waits_does_not_keep_others_from_forking(instance: HostedInstance) -> None:
    """They stop it for a moment, and the question stays the same one."""
    approver = start(instance, asking(), "/bin/questions", "forks-beside")
    question = approver.question()

    instance.say("go\n")
    wait_until(lambda: instance.logged() == "forked\n")

    assert approver.answer(question, allow=True) == ALLOWED
    assert approver.nothing_else()
    assert finished(instance) == ["forked", "mkdir: ok"]


def test_a_program_that_is_stopped_finds_its_answer(instance: HostedInstance) -> None:
    approver = start(instance, asking(), "/bin/mkdir", "/tmp/new")
    question = approver.question()
    pid = instance.connect().started()

    os.kill(pid, signal.SIGSTOP)
    assert approver.answer(question, allow=True) == ALLOWED
    os.kill(pid, signal.SIGCONT)

    assert finished(instance) == []


def test_as_many_as_there_are_places_are_asked(instance: HostedInstance) -> None:
    approver = start(instance, asking(), "/bin/questions", "many", str(PLACES + 6))

    told: dict[EventType, list[Event]] = {EventType.QUESTION: [], EventType.DENIED: []}
    while len(told[EventType.QUESTION]) < PLACES or len(told[EventType.DENIED]) < 6:
        event, _ = approver.client.receive()
        assert event
        told.setdefault(event.type, []).append(event)
    numbers = {Question.told(event).number for event in told[EventType.QUESTION]}
    for number in numbers:
        approver.client.send(answer(number, allow=True))

    assert len(numbers) == PLACES
    assert finished(instance) == [f"made {PLACES}, refused 6"]


def test_what_cannot_be_asked_is_told_as_denied(instance: HostedInstance) -> None:
    name = "/tmp/" + "é" * 60  # too long, written out in hexadecimal
    policy = ByHand().path("/tmp/**", 0, ASK)
    approver = shell(instance, policy, f"read go; mkdir {name}; echo $?")
    instance.say("go\n")

    event = approver.client.event(EventType.DENIED)

    assert (event.value, event.text.split()[2:4]) == (5, [str(lib.KW_POLICY_ERRNO), str(EPERM)])
    assert finished(instance)[-1] == "1"


def test_a_signal_withdraws_the_question(instance: HostedInstance) -> None:
    approver = start(instance, asking(), "/bin/questions", "interrupted")
    question = approver.question()

    approver.client.send(send_signal(signal.SIGUSR1))

    assert approver.ending(question) == WITHDRAWN
    assert finished(instance) == ["handled 1", "mkdir: EINTR"]


def test_a_call_that_is_made_again_asks_again(instance: HostedInstance) -> None:
    approver = start(instance, asking(), "/bin/questions", "restarted")
    first = approver.question()

    approver.client.send(send_signal(signal.SIGUSR1))
    assert approver.ending(first) == WITHDRAWN
    second = approver.question()

    assert second.number != first.number
    assert approver.answer(second, allow=True) == ALLOWED
    assert finished(instance) == ["handled 1", "mkdir: ok"]


@pytest.mark.hw
@pytest.mark.parametrize("end", ["killed", "ends-beside", "executes-beside"])
def test_the_question_of_one_that_is_gone_is_withdrawn(instance: HostedInstance, end: str) -> None:
    scripts = {
        "killed": "(exec mkdir /tmp/new) & read go; kill -9 $!; read go; echo end",
        "ends-beside": "/bin/questions ends-beside; read go; echo end",
        "executes-beside": "/bin/questions executes-beside; echo end",
    }
    approver = shell(instance, asking(), scripts[end])
    question = approver.question()

    instance.say("go\n")

    assert approver.ending(question) == WITHDRAWN
    instance.say("go\n")
    assert "end" in finished(instance)


def test_the_end_of_the_instance_withdraws_all(instance: HostedInstance) -> None:
    approver = shell(instance, asking(), "mkdir /tmp/a & mkdir /tmp/b & read go")
    numbers = {approver.question().number, approver.question().number}

    instance.say("go\n")

    endings = [approver.client.event(EventType.ANSWERED) for _ in range(2)]
    assert {event.value for event in endings} == numbers
    assert {event.extra for event in endings} == {WITHDRAWN}


@pytest.mark.hw
def test_open_questions_are_told_to_those_who_come_later(instance: HostedInstance) -> None:
    first = shell(instance, asking(), "mkdir /tmp/new && echo made")
    question = first.question()
    first.client.socket.close()

    second = Approver(instance)

    again = second.question()
    assert again._replace(remaining_ms=question.remaining_ms) == question
    assert again.remaining_ms <= question.remaining_ms
    assert second.answer(again, allow=True) == ALLOWED
    assert finished(instance) == ["made"]
