"""Somebody who answers the questions of a hosted instance, whose policy asks."""

import shutil
from pathlib import Path
from typing import NamedTuple

from kwhost.core.abi.messages import Event, EventType, answer, hello
from tests.engine.workshop import open_workshop
from tests.functional.hosted import Client, HostedInstance, New
from tests.functional.policies import READ, ByHand

__all__ = [
    "ALLOWED",
    "ASK",
    "PLACES",
    "REFUSED",
    "UNANSWERED",
    "WITHDRAWN",
    "Approver",
    "Question",
    "asking",
    "asking_about_files",
    "finished",
    "prepared",
    "shell",
    "start",
]

ASK = ("ASK", 0, 5)
REFUSED, ALLOWED, UNANSWERED, WITHDRAWN = range(4)
# Questions that may be open at once.
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


def prepared(new: New, root: Path, *, virtual: bool) -> HostedInstance:
    """One with the program `questions`, also as `asked`, and a few files in /tmp."""
    workshop = open_workshop()
    program = workshop.build(Path(__file__).with_name("questions.c"))
    for name in ("questions", "asked"):
        shutil.copy(workshop.folder / Path(program).name, root / "bin" / name)
    for name in ("mkdir", "mv"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "tmp").mkdir()
    for name in ("asked", "other"):
        (root / "tmp" / name).write_text(f"{name}\n")
        (root / "tmp" / name).chmod(0o666)
    (root / "tmp").chmod(0o777)
    return new(virtual=virtual)


def asking(call: str = "mkdir") -> ByHand:
    return ByHand().call(call, "ASK", 0, 7)


def asking_about_files() -> ByHand:
    return ByHand().path("/tmp/asked", 0, ASK).path("/bin/asked", READ, ASK)


def start(instance: HostedInstance, policy: ByHand, *argv: str) -> Approver:
    instance.start(*argv, interactive=True, policy=policy.compiled())
    return Approver(instance)


def shell(instance: HostedInstance, policy: ByHand, script: str) -> Approver:
    """Of two streams the lines would come in any order."""
    return start(instance, policy, "/bin/sh", "-c", f"exec 2>&1\n{script}")


def finished(instance: HostedInstance) -> list[str]:
    """What the program printed, both streams; it ended well."""
    assert instance.wait().status == 0, instance.log()
    return [line.text for line in instance.log()]
