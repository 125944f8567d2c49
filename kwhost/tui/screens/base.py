"""What screens about the daemon have in common: the host above, keys below, and questions in between."""

from collections.abc import Iterable, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from kwhost.tui.host import Host
from kwhost.tui.keys import CHANGING
from kwhost.tui.widgets.header import HostLine, QuestionLine
from kwhost.tui.widgets.key_line import KeyLine

__all__ = ["HostScreen"]


class HostScreen(Screen[None]):
    """Shows `host`; `show_state` is called whenever it has changed."""

    AUTO_FOCUS = ""  # each gives it itself, once

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        self.ready = False
        self._host_line = HostLine()
        self._question_line = QuestionLine()

    def compose(self) -> ComposeResult:
        """The frame around a screen's content."""
        yield self._host_line
        yield from self.content()
        yield self._question_line
        yield KeyLine()

    def content(self) -> Iterable[Widget]:
        """What is in between."""
        return ()

    def on_mount(self) -> None:
        """Show what is known already."""
        self.ready = True
        # Which keys work depends on where one writes.
        self.bindings_updated_signal.subscribe(self, lambda _: self.show_state())
        self.show_state()

    def on_screen_resume(self) -> None:
        """It may have changed meanwhile."""
        self.show_state()

    def show_state(self) -> None:
        """Show what has changed."""
        if not self.ready:
            return
        host, now = self.host, self.host.clock()
        self._host_line.show(
            host.name, host.info, host.fleet.totals, host.trouble,
            read_only=host.read_only, now=now,
        )  # fmt: skip
        self._question_line.show(host.questions, now, self._key("everywhere.questions"))

    def _key(self, id_: str) -> str:
        """How a key is called here."""
        return next(
            (self.app.get_key_display(active.binding) for active in self.active_bindings.values()
             if active.binding.id == id_),
            "",
        )  # fmt: skip

    def check_action(self, action: str, parameters: Sequence[Any]) -> bool | None:  # noqa: ARG002 - Textual's
        """In read-only mode nothing that changes an instance has a key."""
        return not (self.host.read_only and action in CHANGING)
