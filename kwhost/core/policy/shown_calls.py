"""A system call that a rule spoke about, as people read it."""

from collections.abc import Sequence

from kwhost.core.policy.calls import Width, argument_widths

__all__ = ["show_call"]

# Beyond it a number is more likely bits or an address.
_PLAIN_MAX = 65_535
# A register holds an int that is negative by at most so much: -1, AT_FDCWD.
_NEGATIVE_MIN = -4096


def _show_argument(value: int, width: Width) -> str:
    if width is Width.INT:
        value &= Width.INT.mask
    if width is not Width.POINTER:
        signed = value - width.mask - 1
        if signed >= _NEGATIVE_MIN:
            return str(signed)
    return str(value) if value <= _PLAIN_MAX else f"{value:#x}"


def show_call(name: str, arguments: Sequence[int], about: str = "") -> str:
    """Such as `openat(-100, 0x7ffe0040, 577) of /etc/passwd`. Of a call without numbers among its arguments
    only what it is about."""
    widths = argument_widths(name)
    shown = [_show_argument(value, width) for value, width in zip(arguments, widths, strict=False)]
    return f"{name}({', '.join(shown)})" + (f" of {about}" if about else "")
