"""What the instance was asked to be, as it would stand in a configuration file, and what protects this host
from it where it has no virtual machine."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from kwhost.core.model.ids import InstanceId
from kwhost.core.model.protections import Protection, Protections
from kwhost.core.model.text import clean
from kwhost.tui.host import Host
from kwhost.tui.panes.base import Pane
from kwhost.tui.toml import to_toml

__all__ = ["ConfigurationPane"]


class ConfigurationPane(Pane):
    """What is empty is left out."""

    DEFAULT_CSS = """
    ConfigurationPane Static { padding: 0 1; }
    ConfigurationPane #protections { display: none; margin-bottom: 1; }
    ConfigurationPane #protections.weaker { display: block; }
    """

    def __init__(self, host: Host, instance: InstanceId) -> None:
        super().__init__(host, instance)
        self._protections = Static("", id="protections", markup=False)
        self._text = Static("", id="toml", markup=False)

    def compose(self) -> ComposeResult:
        """A text that scrolls."""
        with VerticalScroll():
            yield self._protections
            yield self._text

    def take_focus(self) -> None:
        """The text has the keys."""
        self.query_one(VerticalScroll).focus()

    async def follow(self) -> None:
        """Read it once: it does not change."""
        definition = await self.ask("definition")
        self._text.update(to_toml(definition))

    def show_state(self) -> None:
        """They may be others in its next run."""
        row = self.host.fleet.row(self.instance)
        found = row.status.protections if row else None
        self._protections.set_class(found is not None, "weaker")
        if found:
            self._protections.update(_describe(found))


def _describe(found: Protections) -> Content:
    lines = [
        Content.styled(
            "No virtual machine (engine process). What protects this host instead:", "bold $warning"
        )
    ]
    for each in Protection:
        if not found.holds(each):
            state, colour, text = "✗ lacks", "$error", found.missing[each]
        elif each in found.weaker:
            state, colour, text = "◐ weaker", "$warning", found.weaker[each]
        else:
            state, colour, text = "● holds", "$success", each.meaning
        line = ((f"{state:<9}", colour), (f"{each.value:<15} ", "bold"), (clean(text), "$muted"))
        lines.append(Content.assemble(*line))
    return Content("\n").join(lines)
