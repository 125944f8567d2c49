"""A table that draws only what is seen: its cost does not grow with its rows.

Cells are plain text, cleaned here: nothing that a row has in it acts on the terminal, and no markup is read.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import Enum
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kwhost.core.model.text import clean
from kwhost.tui.keys import bindings
from kwhost.tui.widgets.cells import fit

__all__ = ["Cell", "Column", "RowTable", "Tone"]

R = TypeVar("R")


class Tone(Enum):
    """What a cell says, by its colour too."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    DIM = "dim"
    ACCENT = "accent"


class Cell(NamedTuple):
    """Text of one cell."""

    text: str
    tone: Tone = Tone.PLAIN


class Column(NamedTuple, Generic[R]):
    """`width` in characters; one column without (0) has the rest, at least 12. `order` sorts by it. Columns
    with the highest `rank` go first where the screen is narrow, of equal ones the last; the first stays."""

    title: str
    width: int
    cell: Callable[[R], Cell | str]
    order: Callable[[R], Any] | None = None
    right: bool = False
    rank: int = 0
    descending: bool = False


_FLEXIBLE_MIN = 12


class RowTable(ScrollView, Generic[R], can_focus=True):
    """Rows of a kind, with a cursor that stays on its row whatever the order becomes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header", "table--sorted", "table--cursor", "table--marked",
        *(f"table--{tone.value}" for tone in Tone),
    }  # fmt: skip
    DEFAULT_CSS = """
    RowTable { background: $background; scrollbar-size-horizontal: 0; }
    RowTable > .table--header { color: $muted; background: $panel; text-style: bold; }
    RowTable > .table--sorted { color: $accent; background: $panel; text-style: bold; }
    RowTable > .table--cursor { background: $primary 40%; }
    RowTable:focus > .table--cursor { background: $primary; color: $foreground; text-style: bold; }
    RowTable > .table--marked { background: $accent 25%; }
    RowTable > .table--good { color: $success; }
    RowTable > .table--bad { color: $error; }
    RowTable > .table--warning { color: $warning; }
    RowTable > .table--dim { color: $muted; }
    RowTable > .table--accent { color: $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("table")

    class Highlighted(Message):
        """The cursor is on another row."""

    class Chosen(Message):
        """A row was clicked on twice."""

    def __init__(
        self, columns: Sequence[Column[R]], key: Callable[[R], Hashable], *, sort: str = "", empty: str = "",
        id: str | None = None,  # noqa: A002 - Textual's own name
    ) -> None:  # fmt: skip
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._key = key
        self._rows: list[R] = []
        self._cursor = 0
        self._steered = False
        self._sort = next((column for column in self._columns if column.title == sort), None)
        self._descending = bool(self._sort and self._sort.descending)
        self._empty = empty
        self.marked: set[Hashable] = set()

    # --- rows

    @property
    def rows(self) -> Sequence[R]:
        """In the order in which they are shown."""
        return self._rows

    @property
    def current(self) -> R | None:
        """The row with the cursor."""
        return self._rows[self._cursor] if self._rows else None

    @property
    def chosen(self) -> list[R]:
        """The marked rows, or the one with the cursor."""
        marked = [row for row in self._rows if self._key(row) in self.marked]
        return marked or ([self.current] if self.current is not None else [])

    def add_columns(self, columns: Iterable[Column[R]]) -> None:
        """Behind those that there are."""
        self._columns += tuple(columns)
        self.refresh()

    def set_rows(self, rows: Iterable[R]) -> None:
        """Show these; marks and the cursor stay where their rows still are."""
        before = self._key(self.current) if self.current is not None else None
        self._rows = self._sorted(rows)
        keys = {self._key(row): number for number, row in enumerate(self._rows)}
        self.marked &= keys.keys()
        if self._steered:
            self._cursor = keys.get(before, min(self._cursor, max(0, len(self._rows) - 1)))
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        if before is None and self._rows:
            self.post_message(self.Highlighted())
        self.refresh()

    def _sorted(self, rows: Iterable[R]) -> list[R]:
        if self._sort is None or self._sort.order is None:
            return list(rows)
        return sorted(rows, key=self._sort.order, reverse=self._descending)

    # --- what keys and the mouse do

    def move_to(self, number: int) -> None:
        """Put the cursor on a row, and show it; it stays with that row from now on."""
        self._steered = True
        self._cursor = max(0, min(number, len(self._rows) - 1))
        height = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + height:
            self.scroll_to(y=self._cursor - height + 1, animate=False)
        self.post_message(self.Highlighted())
        self.refresh()

    def action_up(self) -> None:
        """One row up."""
        self.move_to(self._cursor - 1)

    def action_down(self) -> None:
        """One row down."""
        self.move_to(self._cursor + 1)

    def action_page_up(self) -> None:
        """A page up."""
        self.move_to(self._cursor - max(1, self.size.height - 2))

    def action_page_down(self) -> None:
        """A page down."""
        self.move_to(self._cursor + max(1, self.size.height - 2))

    def action_first(self) -> None:
        """To the first row."""
        self.move_to(0)

    def action_last(self) -> None:
        """To the last row."""
        self.move_to(len(self._rows) - 1)

    def action_sort(self) -> None:
        """Sort by the next column that can be sorted by."""
        sortable = [column for column in self._columns if column.order]
        if sortable:
            place = sortable.index(self._sort) + 1 if self._sort in sortable else 0
            self.sort_by(sortable[place % len(sortable)])

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._descending = not self._descending
        self.sort_again()

    def sort_by(self, column: Column[R]) -> None:
        """Sort by a column; by the same one again: the other way round."""
        self._descending = not self._descending if column is self._sort else column.descending
        self._sort = column
        self.sort_again()

    def sort_again(self) -> None:
        """The order is another."""
        self.set_rows(self._rows)

    def mark(self) -> None:
        """Mark the row with the cursor, or not any more, and go on."""
        if self.current is not None:
            self.marked ^= {self._key(self.current)}
            self.action_down()

    def mark_all(self) -> None:
        """Mark all rows, or none where all are."""
        keys = {self._key(row) for row in self._rows}
        self.marked = set() if keys <= self.marked else keys
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Rows are chosen, headers sorted by."""
        if event.y == 0:
            column = self._column_at(event.x)
            if column and column.order:
                self.sort_by(column)
            return
        number = event.y - 1 + self.scroll_offset.y
        if number < len(self._rows):
            self.move_to(number)
            if event.chain == 2:
                self.post_message(self.Chosen())

    # --- drawing

    @property
    def _width(self) -> int:
        """Beside the scroll bar."""
        return self.scrollable_content_region.width

    def _placed(self) -> list[tuple[Column[R], int]]:
        """The columns that there is room for, with their widths."""
        columns = list(self._columns)
        width = self._width - 2

        def needed() -> int:
            return sum((column.width or _FLEXIBLE_MIN) + 1 for column in columns)

        while needed() > width and len(columns) > 1:
            # A number whose end is cut off would be another number.
            columns.remove(max(reversed(columns[1:]), key=lambda column: column.rank))
        rest = max(0, width - needed())
        return [(column, column.width or _FLEXIBLE_MIN + rest) for column in columns]

    def _column_at(self, x: int) -> Column[R] | None:
        place = 2
        for column, width in self._placed():
            place += width + 1
            if x < place:
                return column
        return None

    def render_line(self, y: int) -> Strip:
        """The header, or a row."""
        if y == 0:
            return self._header()
        number = y - 1 + self.scroll_offset.y
        if number < len(self._rows):
            return self._row(number)
        if y == 2 and not self._rows:
            text = fit(f"  {self._empty}", self._width)
            return Strip([Segment(text, self.rich_style + self._style("table--dim"))], self._width)
        return Strip.blank(self._width, self.rich_style)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name, partial=True)

    def _backdrop(self, name: str) -> Style:
        """Behind cells of any tone."""
        style = self.get_component_rich_style(name)
        return Style(bgcolor=style.bgcolor, bold=style.bold)

    def _header(self) -> Strip:
        plain = self.get_component_rich_style("table--header")
        sorted_ = self.get_component_rich_style("table--sorted")
        segments = [Segment("  ", plain)]
        for column, width in self._placed():
            title = column.title.upper()
            if column is self._sort:
                title = f"{title}{'▼' if self._descending else '▲'}"
            style = sorted_ if column is self._sort else plain
            segments += [Segment(fit(title, width, right=column.right), style), Segment(" ", plain)]
        return Strip(segments).adjust_cell_length(self._width, plain)

    def _row(self, number: int) -> Strip:
        row = self._rows[number]
        marked = self._key(row) in self.marked
        base = self.rich_style
        over = Style()
        if marked:
            over += self._backdrop("table--marked")
        if number == self._cursor:
            over += self._backdrop("table--cursor")
        segments = [Segment("▌ " if marked else "  ", base + self._style("table--accent") + over)]
        for column, width in self._placed():
            cell = column.cell(row)
            text, tone = (cell, Tone.PLAIN) if isinstance(cell, str) else cell
            style = base + (Style() if tone is Tone.PLAIN else self._style(f"table--{tone.value}")) + over
            if tone is not Tone.PLAIN and number == self._cursor:
                style += Style(color=self._style(f"table--{tone.value}").color)
            segments.append(Segment(f"{fit(clean(text), width, right=column.right)} ", style))
        return Strip(segments).adjust_cell_length(self._width, base + over)

    def on_resize(self) -> None:
        """What is seen changes."""
        self.virtual_size = Size(self.size.width, len(self._rows) + 1)
        self.refresh()
