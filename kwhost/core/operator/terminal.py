"""The operator's terminal while an instance with a terminal of its own uses it."""

import fcntl
import os
import struct
import termios
from types import TracebackType
from typing import Self

from kwhost.core.model.instance import TerminalSize

__all__ = ["OperatorTerminal", "terminal_size"]

_WINSIZE = struct.Struct("HHHH")


def terminal_size(fd: int) -> TerminalSize | None:
    """The size of the terminal behind a descriptor; None where it is none or has no size."""
    try:
        packed = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_WINSIZE.size))
    except OSError:
        return None
    rows, columns, _, _ = _WINSIZE.unpack(packed)
    return TerminalSize(rows=rows, columns=columns) if rows and columns else None


def _raw(attributes: list[object]) -> list[object]:
    """As cfmakeraw(3): every byte goes through, ^C and ^Z too, for the instance's own terminal to judge."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = attributes
    assert isinstance(iflag, int)
    assert isinstance(oflag, int)
    assert isinstance(cflag, int)
    assert isinstance(lflag, int)
    assert isinstance(characters, list)
    iflag &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    characters = list(characters)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [iflag, oflag & ~termios.OPOST, cflag, lflag, ispeed, ospeed, characters]


class OperatorTerminal:
    """Puts a terminal into raw mode, and back however the block ends."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._saved = termios.tcgetattr(fd)

    def enter_raw(self) -> None:
        """Give every key to the instance."""
        termios.tcsetattr(self.fd, termios.TCSADRAIN, _raw(list(self._saved)))  # type: ignore[arg-type]

    def restore(self) -> None:
        """As it was found; a terminal that is gone needs nothing."""
        try:
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self._saved)
        except termios.error:
            return

    def size(self) -> TerminalSize | None:
        """Its size now."""
        return terminal_size(self.fd)

    def __enter__(self) -> Self:
        self.enter_raw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.restore()

    @classmethod
    def of(cls, fd: int) -> "OperatorTerminal | None":
        """The terminal behind a descriptor, if it is one."""
        return cls(fd) if os.isatty(fd) else None
