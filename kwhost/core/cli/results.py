"""Everything that goes to standard output."""

import os
import sys

from kwhost.core.errors import HostError

__all__ = ["show_result"]


def show_result(text: str) -> None:
    """Write a command's result. Raises HostError where it cannot all be written."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise HostError(f"cannot write standard output: {error.strerror}") from error
