"""What the instance was asked to be, as it would stand in a configuration file."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from kwhost.tui.panes.base import Pane
from kwhost.tui.toml import to_toml

__all__ = ["ConfigurationPane"]


class ConfigurationPane(Pane):
    """What is empty is left out."""

    DEFAULT_CSS = "ConfigurationPane Static { padding: 0 1; }"

    def compose(self) -> ComposeResult:
        """A text that scrolls."""
        with VerticalScroll():
            yield Static("", id="toml", markup=False)

    def take_focus(self) -> None:
        """The text has the keys."""
        self.query_one(VerticalScroll).focus()

    async def follow(self) -> None:
        """Read it once: it does not change."""
        definition = await self.ask("definition")
        self.query_one("#toml", Static).update(to_toml(definition))
