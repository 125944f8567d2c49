"""What is asked about calls with paths and addresses, and what else counts beside an answer."""

import os
import random
from pathlib import Path

import pytest

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.messages import EventType, answer, hello, replace_policy
from kwhost.core.engines.launch import sealed_record
from tests.functional.approver import (
    ALLOWED,
    ASK,
    PLACES,
    REFUSED,
    asking,
    asking_about_files,
    finished,
    prepared,
    shell,
    start,
)
from tests.functional.hosted import Client, HostedInstance, New, wait_until
from tests.functional.policies import READ, ByHand, number_of

EACCES, EAGAIN = 13, 11


@pytest.fixture
def instance(new: New, busybox_root: Path, virtual: bool) -> HostedInstance:
    return prepared(new, busybox_root, virtual=virtual)


@pytest.fixture
def machine(new: New, busybox_root: Path) -> HostedInstance:
    """Only here is what may be executed asked about: without a virtual machine it is Landlock's."""
    return prepared(new, busybox_root, virtual=True)


@pytest.mark.hw
def test_opening_a_file_asks_with_its_real_path(instance: HostedInstance) -> None:
    approver = shell(instance, asking_about_files(), "cd /tmp; cat ../tmp/./asked; cat asked; echo $?")

    first = approver.question()
    assert (first.rule, first.call, first.text) == (5, number_of("openat"), "/tmp/asked")
    assert approver.answer(first, allow=True) == ALLOWED
    assert approver.answer(approver.question(), allow=False) == REFUSED

    assert finished(instance) == ["asked", "cat: can't open 'asked': Operation not permitted", "1"]


def test_changing_names_asks_with_both(instance: HostedInstance) -> None:
    policy = ByHand().path("/tmp/asked", READ, ASK)
    approver = shell(instance, policy, "mv /tmp/asked /tmp/new && cat /tmp/new")

    question = approver.question()

    assert question.text == "/tmp/asked//tmp/new"
    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(instance) == ["asked"]


def test_texts_are_told_so_that_no_two_look_alike(instance: HostedInstance) -> None:
    policy = ByHand().path("/tmp/**", READ, ASK)
    approver = shell(instance, policy, "mkdir '/tmp/a\tb\\é'")

    assert approver.question().text == "/tmp/a\\x09b\\x5c\\xc3\\xa9"


def test_connecting_asks_with_the_address(instance: HostedInstance) -> None:
    policy = ByHand().network("TO", "127.0.0.0/8", (8080, 8080), ASK)
    approver = start(instance, policy, "/bin/questions", "connects")

    question = approver.question()

    assert (question.call, question.text) == (number_of("connect"), "127.0.0.1:8080/tcp")
    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(instance) == ["connect: ECONNREFUSED"]


@pytest.mark.kvm
def test_a_spawned_program_is_asked_about(machine: HostedInstance) -> None:
    """By a child that borrows its parent's memory."""
    approver = start(machine, asking_about_files(), "/bin/questions", "spawns")

    question = approver.question()

    assert (question.call, question.text) == (number_of("execve"), "/bin/asked")
    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(machine) == ["spawned: ok, 512"]


@pytest.mark.kvm
def test_other_threads_run_on_while_an_execution_is_asked_about(machine: HostedInstance) -> None:
    approver = start(machine, asking_about_files(), "/bin/questions", "beside-execution")
    question = approver.question()

    machine.say("go\n")
    wait_until(lambda: machine.logged() == "beside\n")

    assert question.text == "/bin/asked"
    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(machine) == ["beside", "connect: ECONNREFUSED"]


@pytest.mark.kvm
def test_the_first_program_is_asked_about(machine: HostedInstance) -> None:
    approver = start(machine, asking_about_files(), "/bin/asked", "connects")

    question = approver.question()

    assert question.text == "/bin/asked"
    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(machine) == ["connect: ECONNREFUSED"]


def test_a_program_that_joins_asks(instance: HostedInstance) -> None:
    from tests.functional.test_join import Joined

    approver = shell(instance, asking(), "read go")
    approver.client.event(EventType.HELLO)
    instance.connect().started()
    joined = Joined(instance, ["/bin/mkdir", "/tmp/new"])

    assert approver.answer(approver.question(), allow=True) == ALLOWED
    assert joined.client.event(EventType.EXITED).value == 0


@pytest.mark.parametrize("change", ["changes-path", "changes-flags"])
def test_an_answer_is_about_what_was_asked(instance: HostedInstance, change: str) -> None:
    """What the call is about changes meanwhile: that is another question."""
    policy = ByHand().path("/tmp/asked", 0, ASK).path("/tmp/other", 0, ("ERRNO", EACCES, 6))
    approver = start(instance, policy, "/bin/questions", change)
    question = approver.question()
    assert (question.text, question.arguments[2]) == ("/tmp/asked", os.O_RDONLY)

    instance.say("go\n")
    wait_until(lambda: instance.logged() == "changed\n")
    approver.client.send(answer(question.number, allow=True))

    if change == "changes-flags":
        again = approver.question()
        assert (again.text, again.arguments[2]) == ("/tmp/asked", os.O_RDWR)
        approver.client.send(answer(again.number, allow=False))
    assert finished(instance)[1] == ("open: EPERM" if change == "changes-flags" else "open: EACCES")


def _replace(client: Client, policy: ByHand) -> None:
    fd = sealed_record(policy.compiled())
    client.send(replace_policy(), fd)
    os.close(fd)
    assert client.event(EventType.POLICY).value == 0


def test_a_new_policy_leaves_open_questions(instance: HostedInstance) -> None:
    approver = start(instance, asking(), "/bin/questions", "beside")
    question = approver.question()

    _replace(approver.client, asking().timeout(1000))

    assert approver.answer(question, allow=True) == ALLOWED
    instance.say("go\n")
    assert "mkdir: ok" in finished(instance)


def test_rates_are_kept_behind_an_answer(instance: HostedInstance) -> None:
    policy = asking().rate(["mkdir"], 10**12, 1, ("ERRNO", EAGAIN, 1))
    approver = shell(instance, policy, "mkdir /tmp/a; echo $?; mkdir /tmp/b; echo $?")

    for _ in range(2):
        assert approver.answer(approver.question(), allow=True) == ALLOWED

    assert [line for line in finished(instance) if len(line) == 1] == ["0", "1"]


def _shared(client: Client) -> int:
    client.send(hello())
    while True:
        event, fds = client.receive()
        assert event
        if event.type is EventType.HELLO:
            return fds[0]


def test_hostile_monitors_do_not_bring_supervise_down(instance: HostedInstance) -> None:
    """Whatever stands in the memory that monitors write, others are still asked."""
    approver = start(instance, asking(), "/bin/questions", "beside")
    question = approver.question()
    page = _shared(instance.connect())
    offset = ffi.offsetof("struct kw_policy_shared", "asked")
    asked = ffi.new("struct kw_policy_asked *")
    dice = random.Random(1)
    for place in range(1, PLACES):
        ffi.memmove(asked, dice.randbytes(ffi.sizeof(asked[0])), ffi.sizeof(asked[0]))
        if place % 2:  # the text has no end
            asked.question.rule = place
            ffi.memmove(asked.question.text, b"x" * lib.KW_POLICY_TEXT_MAX, lib.KW_POLICY_TEXT_MAX)
        asked.holder = 0xFFFFFFFF if place % 3 else 1 << 1 | 1
        at = lib.KW_POLICY_SHARED_OFFSET + offset + place * ffi.sizeof(asked[0])
        os.pwrite(page, ffi.buffer(asked)[:], at)
    os.close(page)

    instance.say("go\n")
    wait_until(lambda: instance.logged() == "beside\n")

    approver.client.send(answer(question.number, allow=True))
    assert finished(instance) == ["beside", "mkdir: ok"]
