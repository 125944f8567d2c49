"""The keys that work where the operator is."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

__all__ = ["Help", "LiveKey"]

# The keys, what they do, and the part of the screens that they belong to.
LiveKey = tuple[str, str, str]


class Help(ModalScreen[None]):
    """A list of them."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 92%; padding: 1 2; background: $surface;
        border: round $accent; border-title-color: $accent; border-subtitle-color: $muted;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("escape,q,question_mark,f1,enter", "dismiss", "Close")]

    def __init__(self, keys: Sequence[LiveKey]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """By the part of the screens that they belong to."""
        lines: list[Content] = []
        group = ""
        for keys, text, scope in self._keys:
            if scope != group:
                lines += [Content("")] if lines else []
                lines.append(Content.styled(scope, "bold $accent"))
                group = scope
            lines.append(Content.assemble((f"{keys:>16}  ", "bold"), text))
        box = VerticalScroll(Static(Content("\n").join(lines)))
        box.border_title = "The keys that work here"
        box.border_subtitle = "Esc closes · tui-keys.toml gives them others"
        yield box
