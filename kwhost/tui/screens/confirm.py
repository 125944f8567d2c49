"""Asks before something is done that cannot be undone."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from kwhost.core.model.text import clean

__all__ = ["Confirm"]


class Confirm(ModalScreen[bool]):
    """Whether to go on; Cancel has the focus."""

    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical {
        width: 72; max-width: 96%; height: auto; padding: 1 2; background: $surface; border: round $error;
        border-title-color: $error;
    }
    Confirm .targets { max-height: 8; overflow-y: auto; text-style: bold; }
    Confirm .command { color: $accent; margin: 1 0; }
    Confirm Horizontal { height: 3; align-horizontal: right; }
    Confirm Button { margin-left: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "cancel", "Cancel"),
        ("left,right,h,l", "app.focus_next", "Other"),
    ]

    def __init__(self, verb: str, targets: list[str], warning: str, command: str, *, title: str = "") -> None:
        super().__init__()
        many = f"{len(targets)} instances" if len(targets) > 1 else "this instance"
        self._title = title or f"{verb.capitalize()} {many}?"
        self._verb = verb
        self._targets = targets
        self._warning = warning
        self._command = command

    def compose(self) -> ComposeResult:
        """The question."""
        box = Vertical(
            Static(clean("  ".join(self._targets)), markup=False, classes="targets"),
            Static(self._warning, markup=False),
            Static(f"$ {clean(self._command)}", markup=False, classes="command"),
            Horizontal(
                Button("Cancel", id="cancel"), Button(self._verb.capitalize(), id="go", variant="error")
            ),
        )
        box.border_title = Content(clean(self._title))
        yield box

    def on_mount(self) -> None:
        """Whoever presses Enter without reading changes nothing."""
        self.query_one("#cancel").focus()

    @on(Button.Pressed, "#go")
    def _go(self) -> None:
        self.dismiss(result=True)

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Leave it."""
        self.dismiss(result=False)
