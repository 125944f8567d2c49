"""Times as people write and read them."""

import time
from datetime import datetime

from kwhost.core.errors import UsageError
from kwhost.core.model.units import parse_duration

__all__ = ["format_time", "format_when", "parse_since"]


def parse_since(text: str | None) -> float | None:
    """Seconds since 1970 of "10m" (so long ago) or "2026-11-22T10:00" (here, unless it names a zone)."""
    if text is None:
        return None
    try:
        return (
            datetime.fromisoformat(text).timestamp()
            if text[4:5] == "-"
            else time.time() - parse_duration(text)
        )
    except (ValueError, OverflowError, UsageError) as error:
        text = f"{text!r} is no time: write for example 10m, or 2026-11-22T10:00"
        raise UsageError(text) from error


def format_when(seconds: float) -> str:
    """Date and time here, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def format_time(seconds: float) -> str:
    """Date and time here, with the zone's offset, to the millisecond."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
