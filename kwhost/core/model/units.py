"""Quantities as people write them."""

import re

from kwhost.core.errors import UsageError

__all__ = ["format_bytes", "format_duration", "parse_bytes", "parse_duration"]

# More digits than these make no sense, and would be infinite as a float.
_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,15}))?(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE)
_BYTE_UNITS = "kmgtp"


def parse_duration(text: str) -> float:
    """Turn 500ms, 30s, 5m, 2h, 1d or a plain number of seconds into seconds."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise UsageError(f"{text!r} is no duration: write for example 500ms, 30s, 5m or 2h")
    return float(match[1]) * _SECONDS[match[2]]


def format_duration(seconds: float) -> str:
    """Show seconds in the largest unit that they are a whole number of, so that parse_duration reads it."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.12g}{unit}"
    return f"{seconds * 1000:.12g}ms" if 0 < seconds < 1 else f"{seconds:.12g}s"


def parse_bytes(text: str) -> int:
    """Turn 256M, 1.5G, 64k, 10MiB or a plain number of bytes into bytes; rounded down.

    As with Docker, M, MB and MiB are all 2^20, in either case.
    """
    match = _BYTES.fullmatch(text.strip())
    if not match:
        raise UsageError(f"{text!r} is no size: write for example 64k, 256M or 1.5G")
    whole, fraction, unit = match[1], match[2] or "", match[3]
    factor: int = 1024 ** (_BYTE_UNITS.index(unit.lower()) + 1) if unit else 1
    scale: int = 10 ** len(fraction)
    return int(whole + fraction) * factor // scale


def format_bytes(count: int) -> str:
    """Show a number of bytes in the binary unit that suits it."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 1024 or unit == "PiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
