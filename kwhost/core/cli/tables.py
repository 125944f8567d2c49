"""Tables for people, in which nothing of a program's can act on the terminal. Pure."""

from collections.abc import Iterable, Sequence

from kwhost.core.model.text import clean

__all__ = ["clean", "format_age", "format_table"]

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def format_age(seconds: float) -> str:
    """A time span in its largest unit: "3 minutes"."""
    for length, unit in _UNITS:
        if count := int(seconds // length):
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "now"


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]], width: int | None = None) -> str:
    """Columns side by side, cleaned; lines are cut at `width`."""
    cells = [tuple(header), *(tuple(clean(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = (
        "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in cells
    )
    return "".join(f"{_cut(line, width)}\n" for line in lines)


def _cut(line: str, width: int | None) -> str:
    return line if width is None or len(line) <= width else f"{line[: width - 3]}..."
