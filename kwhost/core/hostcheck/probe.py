"""Trying system calls in a child process that is gone afterwards, so that nothing here changes."""

import ctypes
import errno
import os
from collections.abc import Callable

__all__ = ["attempt", "libc_call"]

_libc = ctypes.CDLL(None, use_errno=True)


def libc_call(number: int, *arguments: int | bytes | None) -> int:
    """A raw system call: its result, or OSError."""
    converted = [
        ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument)
        for argument in arguments
    ]
    ctypes.set_errno(0)
    result: int = _libc.syscall(ctypes.c_long(number), *converted)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def attempt(action: Callable[[], None]) -> str | None:
    """Run an action in a child process: None when it worked, else the reason."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            action()
            code = 0
        except OSError as error:
            code = error.errno or 255
        finally:
            os._exit(min(code, 255))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return None
    name = errno.errorcode.get(code)
    return f"{os.strerror(code)} ({name})" if name else f"failed ({code})"
