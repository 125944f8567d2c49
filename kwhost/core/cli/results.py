"""Everything that goes to standard output."""

import os
import sys
from typing import Any

from kwhost.core.errors import HostError

__all__ = ["output_width", "show_json", "show_result"]


def show_result(text: str) -> None:
    """Write a command's result. Raises HostError where it cannot all be written."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise HostError(f"cannot write standard output: {error.strerror}") from error


def show_json(value: Any, indent: int | None = 2) -> None:
    """Write a result as JSON; without `indent` on one line."""
    import json  # only some commands' results are JSON

    show_result(json.dumps(value, indent=indent) + "\n")


def output_width() -> int | None:
    """How many characters fit in a line of standard output; None where it is no terminal."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None
