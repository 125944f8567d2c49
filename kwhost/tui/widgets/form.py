"""Lines to write into, each with what is wrong with it beside it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, Static

from kwhost.core.model.text import clean

__all__ = ["Form", "Line"]


class Line(NamedTuple):
    """`hint` stands in it while it is empty; the first of `known` that begins as it does is offered."""

    name: str
    label: str
    hint: str
    value: str = ""
    known: Sequence[str] = ()


class Form(VerticalScroll, can_focus=False):
    """Enter goes to the next line."""

    DEFAULT_CSS = """
    Form { height: 1fr; padding: 0 1; }
    Form Horizontal { height: 1; }
    Form Label { width: 10; color: $muted; }
    Form Input { width: 1fr; min-width: 24; background: $surface; padding: 0 1; }
    Form Input:focus { background: $panel; }
    Form .problem {
        width: auto; max-width: 50%; color: $error; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    class Changed(Message):
        """Something else is written in it, or another line has the keys."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._inputs = {
            line.name: Input(
                line.value, placeholder=line.hint, compact=True, select_on_focus=False,
                suggester=SuggestFromList(line.known) if line.known else None,
            )
            for line in lines
        }  # fmt: skip
        for input_ in self._inputs.values():
            input_.cursor_blink = False  # it is seen without that
        self._problems = {line.name: Static("", classes="problem", markup=False) for line in lines}
        self._labels = {line.name: line.label for line in lines}

    def compose(self) -> ComposeResult:
        """A row for each."""
        for name, input_ in self._inputs.items():
            yield Horizontal(Label(self._labels[name]), input_, self._problems[name])

    @property
    def values(self) -> dict[str, str]:
        """What is written, by name."""
        return {name: input_.value for name, input_ in self._inputs.items()}

    @property
    def current(self) -> str:
        """The name of the line that has the keys; "" where none has."""
        return next((name for name, input_ in self._inputs.items() if input_.has_focus), "")

    def begin(self) -> None:
        """Have the keys, at the first line that is empty."""
        empty = (input_ for input_ in self._inputs.values() if not input_.value)
        next(empty, next(iter(self._inputs.values()))).focus()

    def know(self, name: str, known: Sequence[str]) -> None:
        """Offer these from now on."""
        self._inputs[name].suggester = SuggestFromList(known)

    def hint(self, hints: Mapping[str, str]) -> None:
        """What stands in lines while they are empty, from now on."""
        for name, text in hints.items():
            self._inputs[name].placeholder = clean(text)

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Only these."""
        for name, place in self._problems.items():
            place.update(clean(problems.get(name, "")))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())

    def on_descendant_focus(self) -> None:
        """Another line."""
        self.post_message(self.Changed())

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.focus_next(Input)
