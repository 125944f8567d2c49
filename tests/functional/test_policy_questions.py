"""Calls that wait until somebody allows them: policies made by hand that ask, real programs."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.abi.messages import Event, EventType, answer, hello, replace_policy, send_signal
from kwhost.core.engines.launch import sealed_record
from tests.engine.workshop import open_workshop
from tests.functional.hosted import Client, HostedInstance, wait_until
from tests.functional.policies import READ, ByHand, number_of

pytestmark = pytest.mark.kvm

EPERM, EACCES = 1, 13
ASK = ("ASK", 0, 5)
REFUSED, ALLOWED, UNANSWERED, WITHDRAWN = range(4)
PLACES = 64


class Question(NamedTuple):
    """What a QUESTION event tells."""

    rule: int
    call: int
    number: int
    pid: int
    tid: int
    remaining_ms: int
    arguments: list[int]
    text: str

    @classmethod
    def told(cls, event: Event) -> "Question":
        words = event.text.split(" ", 10)
        number, pid, tid, remaining = (int(word) for word in words[:4])
        arguments = [int(word, 16) for word in words[4:10]]
        return cls(event.value, event.extra, number, pid, tid, remaining, arguments, words[10])


class Approver:
    """Somebody who is told of the questions of an instance."""

    def __init__(self, instance: HostedInstance) -> None:
        self.client: Client = instance.connect()
        self.client.send(hello())

    def question(self) -> Question:
        return Question.told(self.client.event(EventType.QUESTION))

    def answer(self, question: Question, *, allow: bool) -> int:
        """How the question ended."""
        self.client.send(answer(question.number, allow=allow))
        return self.ending(question)

    def ending(self, question: Question) -> int:
        event = self.client.event(EventType.ANSWERED)
        assert event.value == question.number
        return event.extra

    def nothing_else(self) -> bool:
        """Whether no question was told until the end."""
        kinds = []
        while (event := self.client.receive()[0]) is not None:
            kinds.append(event.type)
        return EventType.QUESTION not in kinds


@pytest.fixture
def instance(tmp_path: Path, busybox_root: Path) -> Iterator[HostedInstance]:
    """One with the program `questions` and a few files in /tmp."""
    workshop = open_workshop()
    program = workshop.build(Path(__file__).with_name("questions.c"))
    shutil.copy(workshop.folder / Path(program).name, busybox_root / "bin/questions")
    for name in ("mkdir", "cat", "mv", "rm", "true"):
        if not (busybox_root / "bin" / name).is_symlink():
            (busybox_root / "bin" / name).symlink_to("busybox")
    shutil.copy(workshop.folder / Path(program).name, busybox_root / "bin/asked")
    (busybox_root / "tmp").mkdir()
    for name in ("asked", "other"):
        (busybox_root / "tmp" / name).write_text(f"{name}\n")
        (busybox_root / "tmp" / name).chmod(0o666)
    (busybox_root / "tmp").chmod(0o777)
    hosted = HostedInstance(tmp_path, busybox_root)
    yield hosted
    hosted.close()


def asking(call: str = "mkdir") -> ByHand:
    return ByHand().call(call, "ASK", 0, 7)


def asking_about_files() -> ByHand:
    return ByHand().path("/tmp/asked", 0, ASK).path("/bin/asked", READ, ASK)


def start(instance: HostedInstance, policy: ByHand, *argv: str) -> Approver:
    instance.start(*argv, interactive=True, policy=policy.compiled())
    return Approver(instance)


def shell(instance: HostedInstance, policy: ByHand, script: str) -> Approver:
    return start(instance, policy, "/bin/sh", "-c", script)


def finished(instance: HostedInstance) -> list[str]:
    """What the program printed, both streams; it ended well."""
    assert instance.wait().status == 0, instance.log()
    return [line.text for line in instance.log()]


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
def test_other_threads_run_on(instance: HostedInstance) -> None:
    approver = start(instance, asking(), "/bin/questions", "beside")
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
    scripts = {"killed": "(exec mkdir /tmp/new) & read go; kill -9 $!; read go; echo end"}
    script = scripts.get(end, f"/bin/questions {end}; echo end")
    approver = shell(instance, asking(), script)
    question = approver.question()

    instance.say("go\n")

    assert approver.ending(question) == WITHDRAWN
    instance.say("go\n")
    assert finished(instance)[-1] == "end"


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


def test_a_spawned_program_is_asked_about(instance: HostedInstance) -> None:
    """By a child that borrows its parent's memory."""
    approver = start(instance, asking_about_files(), "/bin/questions", "spawns")

    question = approver.question()

    assert (question.call, question.text) == (number_of("execve"), "/bin/asked")
    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(instance) == ["spawned: ok, 512"]


def test_the_first_program_is_asked_about(instance: HostedInstance) -> None:
    approver = start(instance, asking_about_files(), "/bin/asked", "connects")

    question = approver.question()

    assert question.text == "/bin/asked"
    assert approver.answer(question, allow=True) == ALLOWED
    assert finished(instance) == ["connect: ECONNREFUSED"]


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
    policy = asking().rate(["mkdir"], 10**12, 1, ("ERRNO", 11, 1))
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
    for place in range(1, PLACES):
        ffi.memmove(asked, os.urandom(ffi.sizeof(asked[0])), ffi.sizeof(asked[0]))
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
