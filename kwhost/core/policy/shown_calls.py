"""A system call that a rule spoke about, as people read it."""

from collections.abc import Sequence

from kwhost.core.policy.calls import OPENING_FLAGS, Width, argument_widths
from kwhost.core.policy.constants import CONSTANTS

__all__ = ["show_call", "show_opening"]

# Beyond it a number is more likely bits or an address.
_PLAIN_MAX = 65_535
# A register holds an int that is negative by at most so much: -1, AT_FDCWD.
_NEGATIVE_MIN = -4096


_USES = {CONSTANTS[name]: name for name in ("O_RDONLY", "O_WRONLY", "O_RDWR")}
_FLAGS = (
    *("O_CREAT", "O_EXCL", "O_TRUNC", "O_APPEND", "O_NONBLOCK"),
    *("O_TMPFILE", "O_DIRECTORY", "O_NOFOLLOW", "O_PATH", "O_CLOEXEC"),
)


def show_opening(flags: int) -> str:
    """Flags of open by their names, the others as a number."""
    use = flags & CONSTANTS["O_ACCMODE"]
    words, rest = [_USES.get(use, str(use))], flags & ~CONSTANTS["O_ACCMODE"]
    for name in _FLAGS:
        if rest & CONSTANTS[name] == CONSTANTS[name]:
            words.append(name)
            rest &= ~CONSTANTS[name]
    return "|".join([*words, *([f"{rest:#x}"] if rest else [])])


def _show_argument(value: int, width: Width) -> str:
    if width is Width.INT:
        value &= Width.INT.mask
    if width is not Width.POINTER:
        signed = value - width.mask - 1
        if signed >= _NEGATIVE_MIN:
            return str(signed)
    return str(value) if value <= _PLAIN_MAX else f"{value:#x}"


def show_call(name: str, arguments: Sequence[int], about: str = "") -> str:
    """Such as `openat(-100, 0x7ffe0040, O_WRONLY|O_CREAT) of /etc/passwd`. Of a call without numbers among
    its arguments only what it is about."""
    widths = argument_widths(name)
    shown = [_show_argument(value, width) for value, width in zip(arguments, widths, strict=False)]
    index = OPENING_FLAGS.get(name)
    # Without a path those of openat2 are where they are in memory.
    if index is not None and index < len(shown) and (about or widths[index] is not Width.POINTER):
        shown[index] = show_opening(arguments[index] & Width.INT.mask)
    return f"{name}({', '.join(shown)})" + (f" of {about}" if about else "")
