"""The calls that wait for an answer, and the keys to give one."""

import shlex
from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar
from urllib.parse import quote

from textual import on, work
from textual.binding import BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from kwhost.core.errors import KwhostError
from kwhost.core.model.decisions import Question
from kwhost.core.model.text import clean
from kwhost.tui.format import age
from kwhost.tui.host import Host
from kwhost.tui.keys import bindings
from kwhost.tui.messages import Answered
from kwhost.tui.screens.base import HostScreen
from kwhost.tui.widgets.table import Cell, Column, RowTable, Tone

__all__ = ["Questions"]

# How long a question has to have stood under the cursor, where it came there by itself: a key that was meant
# for the one before answers nothing.
_SEEN_SECONDS = 0.7


def _shown(question: Question) -> str:
    from kwhost.core.policy.shown_calls import show_call  # brings the tables of all calls

    return show_call(question.call.name, question.call.arguments, question.call.object)


def _columns(clock: Callable[[], float]) -> list[Column[Question]]:
    def left(question: Question) -> Cell:
        seconds = max(0.0, question.deadline - clock())
        return Cell(f"{seconds:.0f} s", Tone.BAD if seconds < 10 else Tone.WARNING)

    return [
        Column("no.", 5, lambda question: question.id, right=True),
        Column("left", 6, left, right=True),
        Column("instance", 20, lambda question: f"{question.tenant}/{question.name}"),
        Column("call", 0, _shown),
        Column("rule", 26, lambda question: Cell(question.rule.text, Tone.DIM), rank=1),
    ]


class Questions(HostScreen):
    """A queue, the oldest first; nothing is answered but by a key on this screen."""

    DEFAULT_CSS = """
    Questions RowTable { height: 1fr; }
    Questions #detail {
        height: auto; min-height: 6; padding: 1 2; background: $surface; border-top: solid $warning;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("questions")

    def content(self) -> Iterable[Widget]:
        """The queue, and more about the one with the cursor."""
        yield self.table
        yield self._detail

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._answered: set[str] = set()
        self._unseen = ""
        self.table = RowTable[Question](
            _columns(host.clock), lambda question: question.id, empty="Nothing is asked.", id="questions"
        )
        self._detail = Static("", id="detail", markup=False)

    def on_mount(self) -> None:
        """Keys are the table's."""
        super().on_mount()
        self.set_focus(self.table)

    def show_state(self) -> None:
        """Show what has changed."""
        if not self.ready:
            return
        super().show_state()
        before = self.table.current
        self.table.set_rows(each for each in self.host.questions if each.id not in self._answered)
        current = self.table.current
        if before and current and current.id != before.id:
            self._unseen = current.id
            self.set_timer(_SEEN_SECONDS, partial(self._see, current.id))
        self._show_detail()

    def _see(self, question: str) -> None:
        if self._unseen == question:
            self._unseen = ""

    @on(RowTable.Highlighted)
    def _show_detail(self) -> None:
        question = self.table.current
        self._detail.update(_detail(question, self.host.clock()) if question else "")

    def action_answer(self, allow: bool, scope: str) -> None:  # noqa: FBT001 - as the bindings say it
        """Answer the one with the cursor."""
        question = self.table.current
        if question and question.id == self._unseen:
            self.notify("The question before is gone; this is another one.", severity="warning")
        elif question:
            self._send(question, allow=allow, scope=scope)

    @work
    async def _send(self, question: Question, *, allow: bool, scope: str) -> None:
        path = f"/v1/questions/{quote(question.id, safe='')}/answer"
        word = "allow" if allow else "refuse"
        try:
            await self.host.client.request("POST", path, body={"allow": allow, "scope": scope})
        except KwhostError as error:
            self.notify(clean(str(error)), severity="error", markup=False)
        else:
            line = shlex.join(["kwhost", "policy", "answer", question.id, word, "--scope", scope])
            self.notify(f"$ {clean(line)}", title="Answered", markup=False)
            self._answered.add(question.id)
        self.post_message(Answered())
        self.show_state()

    def action_back(self) -> None:
        """Answer later."""
        self.dismiss()


def _detail(question: Question, now: float) -> Content:
    call = question.call
    parts = [
        ("call", _shown(question)),
        ("about", call.object or "-"),
        ("process", f"{call.pid} of {question.tenant}/{question.name}"),
        ("rule", f"{question.rule.text}   of {question.rule.layer} ({question.rule.policy})"),
        ("asked", f"{age(now - question.time)} ago; without an answer it is refused"),
    ]
    lines = [Content.assemble((f"{name:>8}  ", "$muted"), clean(text)) for name, text in parts]
    return Content("\n").join(lines)
