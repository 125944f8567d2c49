"""What goes wrong, on standard error, which is the resolver's log: few lines, whoever provokes them."""

import sys
import time
from contextlib import suppress

__all__ = ["complain"]

_LINES_MAX = 20
_SECONDS = 600.0
_recent: list[float] = []


def complain(text: str) -> None:
    """One line; left out where there were many lately."""
    now = time.monotonic()
    _recent[:] = [one for one in _recent if now - one < _SECONDS]
    if len(_recent) < _LINES_MAX:
        _recent.append(now)
        with suppress(OSError):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
