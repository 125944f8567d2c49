"""One figure over time."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from kwhost.tui.chart import draw
from kwhost.tui.widgets.cells import fit

__all__ = ["Chart"]


class Chart(Widget):
    """A title with the newest and the highest value, the values as an area, and the times below it. `least`
    is what the scale reaches at least."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"chart--title", "chart--value", "chart--area", "chart--axis"}
    DEFAULT_CSS = """
    Chart { height: 1fr; min-height: 4; padding: 0 1; }
    Chart > .chart--title { color: $foreground; text-style: bold; }
    Chart > .chart--value { color: $accent; text-style: bold; }
    Chart > .chart--area { color: $accent; }
    Chart > .chart--axis { color: $muted; }
    """

    def __init__(self, title: str, shown: Callable[[float], str], least: float) -> None:
        super().__init__()
        self._title = title
        self._shown = shown
        self._least = least
        self._values: Sequence[float | None] = ()
        self._span = ""
        self._lines: list[Strip] = []

    def show(self, values: Sequence[float | None], span: str) -> None:
        """One value for each column, the newest at the right; `span` names the time of all of them."""
        self._values, self._span = values, span
        self.refresh()

    @property
    def columns(self) -> int:
        """How many values there is room for."""
        return max(1, self.content_size.width)

    def render_lines(self, crop: Region) -> list[Strip]:
        """All of them, worked out together."""
        self._lines = self._draw()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One of them."""
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.columns, self.rich_style)

    def _draw(self) -> list[Strip]:
        width, base = self.columns, self.rich_style
        title, value, area, axis = (
            base + self.get_component_rich_style(f"chart--{name}", partial=True)
            for name in ("title", "value", "area", "axis")
        )
        known = [each for each in self._values if each is not None]
        newest = self._shown(known[-1]) if known else "-"
        highest = max(known, default=0.0)
        most = f"  highest {self._shown(highest)}" if known else ""
        head = [Segment(f"{self._title}  ", title), Segment(newest, value), Segment(most, axis)]
        height = max(1, self.content_size.height - 2)
        rows = draw(self._values, height, max(highest, self._least))
        ago = f"{self._span} ago"
        below = fit(ago, max(0, width - 3)) + "now" if width > len(ago) + 4 else fit(ago, width)
        strips = [Strip(head).adjust_cell_length(width, base)]
        strips += [Strip([Segment(row, area)]).adjust_cell_length(width, base) for row in rows]
        return [*strips, Strip([Segment(below, axis)]).adjust_cell_length(width, base)]
