"""Tabs in which a call can be allowed or denied from here on."""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import BindingType

from kwhost.tui.keys import bindings
from kwhost.tui.messages import ChooseCall
from kwhost.tui.panes.base import Pane

__all__ = ["ChoosingPane"]


class ChoosingPane(Pane):
    """A tab whose rows are about calls."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("rules")

    def call_at_cursor(self) -> str | None:
        """The call that the row with the cursor is about; None: about none, or about several."""
        return None

    def check_action(self, action: str, parameters: Sequence[Any]) -> bool | None:  # noqa: ARG002 - Textual's
        """In read-only mode nothing changes."""
        return not (action == "choose" and self.host.read_only)

    def action_choose(self, action: str) -> None:
        """Allow or deny the call with the cursor, or have it decided as before."""
        row = self.host.fleet.row(self.instance)
        call = self.call_at_cursor()
        if row is None:
            self.notify("The instance is gone.", severity="warning")
        elif call is None:
            self.notify("This row is not about one call alone; System calls has them all.")
        else:
            self.post_message(ChooseCall(row, call, action))
