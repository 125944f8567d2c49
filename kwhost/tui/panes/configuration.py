"""What the instance was asked to be, as it would stand in a configuration file."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from kwhost.core.model.ids import InstanceId
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.toml import to_toml

__all__ = ["ConfigurationPane"]


class ConfigurationPane(Pane):
    """What is empty is left out."""

    DEFAULT_CSS = "ConfigurationPane Static { padding: 0 1; }"

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._text = Static("", id="toml", markup=False)

    def compose(self) -> ComposeResult:
        """A text that scrolls."""
        with VerticalScroll():
            yield self._text

    def take_focus(self) -> None:
        """The text has the keys."""
        self.query_one(VerticalScroll).focus()

    async def follow(self) -> None:
        """Read it once: it does not change."""
        definition = await self.ask("definition")
        self._text.update(to_toml(definition))
