"""Numbers, times and bars as the screens show them. Pure."""

from collections.abc import Sequence

from kwhost.core.model.units import format_bytes

__all__ = ["age", "amount", "bar", "flow", "percent", "rate", "size", "sparkline"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = "▏▎▍▌▋▊▉█"
_SPANS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def age(seconds: float) -> str:
    """In the two largest units: "3d4h", "12s"."""
    rest = max(0, int(seconds))
    parts = []
    for length, unit in _SPANS:
        if rest >= length:
            parts.append(f"{rest // length}{unit}")
            rest %= length
        elif parts:
            break
    return "".join(parts[:2]) or "0s"


def amount(value: float) -> str:
    """With three digits or so: "37", "1.2k", "45M"."""
    for unit in ("", "k", "M", "G"):
        if abs(value) < 999.5 or unit == "G":
            break
        value /= 1000
    return f"{value:.1f}{unit}" if unit and value < 10 else f"{value:.0f}{unit}"


def rate(value: float | None) -> str:
    """Of something a second; "-" where it is not known, "·" where nothing happens."""
    if value is None:
        return "-"
    if value == 0:
        return "·"
    return f"{value:.1f}" if value < 10 else amount(value)


def flow(received: float | None, sent: float | None) -> str:
    """Bytes a second in at most eleven characters: "↓1.2k ↑37"; as `rate` where there is nothing to tell."""
    if received is None or sent is None:
        return "-"
    return f"↓{amount(received)} ↑{amount(sent)}" if received or sent else "·"


def percent(value: float | None) -> str:
    """Of one processor."""
    return "-" if value is None else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def size(value: float | None) -> str:
    """Of bytes, without a space."""
    return (
        "-"
        if value is None
        else format_bytes(int(value)).replace(" ", "").replace("iB", "").replace(".0", "")
    )


def sparkline(values: Sequence[float], width: int, top: float = 0.0) -> str:
    """The newest values, at the right, as blocks; the scale reaches at least to `top`."""
    shown = list(values)[-width:] if width > 0 else []
    highest = max([top, *shown], default=0.0) or 1.0
    blocks = (_BLOCKS[min(8, max(0, round(value / highest * 8)))] for value in shown)
    return "".join(
        block if block != " " else "▁" if value > 0 else "·"
        for block, value in zip(blocks, shown, strict=True)
    ).rjust(width)


def bar(share: float, width: int) -> str:
    """A bar of `width`, full at 1."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part - 1] if part else "")).ljust(width)
