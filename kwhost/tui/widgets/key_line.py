"""The keys that work here, in the last line. Textual's Footer has two widgets for each key, and makes all of
them anew several times before anything is seen: it took a third of the time until the first screen."""

from typing import NamedTuple

from textual import events
from textual.content import Content
from textual.widget import Widget

__all__ = ["KeyLine"]


class _Place(NamedTuple):
    end: int
    key: str


class KeyLine(Widget):
    """Those that are shown, as the file of keys has them; a click on one presses it."""

    DEFAULT_CSS = """
    KeyLine {
        height: 1; dock: bottom; background: $panel; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._places: list[_Place] = []

    def on_mount(self) -> None:
        """They change with what has the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _: object) -> None:
        self.refresh()

    def render(self) -> Content:
        """For the present screen."""
        parts: list[tuple[str, str]] = []
        self._places = []
        actions = set()
        end = 0
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.show or not active.enabled or binding.action in actions:
                continue
            actions.add(binding.action)
            key = self.app.get_key_display(binding)
            parts += [(key, "bold $accent"), (f" {binding.description}  ", "$muted")]
            end += len(key) + len(binding.description) + 3
            self._places.append(_Place(end, binding.key))
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        """Press the key that stands there."""
        place = event.get_content_offset(self)
        if place and (key := next((each.key for each in self._places if place.x < each.end), None)):
            self.app.simulate_key(key)
