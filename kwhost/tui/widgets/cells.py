"""Text in cells of the terminal, of which some characters take two. Pure."""

from rich.cells import cell_len, chop_cells, set_cell_size

__all__ = ["fit", "wrap"]


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells: cut with an ellipsis, or padded."""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        return f"{set_cell_size(text, width - 1)}…" if width > 0 else ""
    space = " " * (width - length)
    return space + text if right else text + space


def wrap(text: str, width: int) -> list[str]:
    """Pieces of at most `width` cells; at least one."""
    width = max(2, width)
    if not text.isascii():
        return chop_cells(text, width) or [""]
    return [text[start : start + width] for start in range(0, len(text), width)] or [""]
