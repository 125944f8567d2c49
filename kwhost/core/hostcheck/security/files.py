"""Small files of the kernel's beneath a root directory, which may be missing, huge or nonsense."""

import os
from pathlib import Path

__all__ = ["names_in", "printable", "text_of", "value_of"]

_SIZE_MAX = 1 << 20
_SHOWN_MAX = 200
_ENTRIES_MAX = 1000


def text_of(root: Path, path: str) -> str | None:
    """A file's first mebibyte; None where it cannot be read. A pipe or a device there is not waited for."""
    try:
        fd = os.open(root / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        with open(fd, "rb") as file:
            return (file.read(_SIZE_MAX) or b"").decode(errors="replace")
    except OSError:
        return None


def value_of(root: Path, path: str) -> str | None:
    """A setting: a file of one line, fit to be shown; None where there is none."""
    text = text_of(root, path)
    return None if text is None else printable(text)


def printable(text: str) -> str:
    """One line without anything that a terminal acts on, of at most 200 characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _SHOWN_MAX])
    return " ".join(line.split())[:_SHOWN_MAX]


def names_in(root: Path, path: str) -> list[str]:
    """The names in a directory, in order; none where it cannot be read."""
    try:
        return sorted(os.listdir(root / path))[:_ENTRIES_MAX]
    except OSError:
        return []
