"""Quantities as people write them."""

import re

from kwhost.core.errors import UsageError

__all__ = ["format_bytes", "parse_duration"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Turn 500ms, 30s, 5m, 2h, 1d or a plain number of seconds into seconds."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise UsageError(f"{text!r} is no duration: write for example 500ms, 30s, 5m or 2h")
    return float(match[1]) * _SECONDS[match[2]]


def format_bytes(count: int) -> str:
    """Show a number of bytes in the binary unit that suits it."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
