"""Asks for one line, and shows the command that it makes."""

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from kwhost.core.errors import KwhostError
from kwhost.core.model.text import clean

__all__ = ["Prompt"]


class Prompt(ModalScreen[str | None]):
    """What was written, or None. `describe` makes the command from it, and raises KwhostError for what is
    wrong: that cannot be entered."""

    DEFAULT_CSS = """
    Prompt { align: center middle; }
    Prompt > Vertical {
        width: 76; max-width: 96%; height: auto; padding: 1 2; background: $surface; border: round $accent;
        border-title-color: $accent; border-subtitle-color: $muted;
    }
    Prompt #command { color: $accent; margin-top: 1; }
    Prompt #command.-wrong { color: $error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "cancel", "Cancel")]

    def __init__(self, title: str, hint: str, describe: Callable[[str], str]) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._describe = describe
        self._right = False

    def compose(self) -> ComposeResult:
        """A line to write into."""
        line = Input(placeholder=clean(self._hint), compact=True)
        line.cursor_blink = False
        box = Vertical(line, Static("", id="command", markup=False))
        box.border_title = Content(clean(self._title))
        box.border_subtitle = "Enter does it · Esc cancels"
        yield box

    def on_mount(self) -> None:
        """Nothing is written yet."""
        self._show("")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._show(event.value)

    def _show(self, text: str) -> None:
        try:
            line = f"$ {self._describe(text)}"
        except KwhostError as error:
            line = str(error)
            self._right = False
        else:
            self._right = True
        place = self.query_one("#command", Static)
        place.set_class(not self._right, "-wrong")
        place.update(clean(line))

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if self._right:
            self.dismiss(event.value)

    def action_cancel(self) -> None:
        """Leave it."""
        self.dismiss(None)
