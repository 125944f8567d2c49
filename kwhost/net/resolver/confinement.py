"""What keeps the resolver to its work, whatever a question does to it: a filter of its system calls, and
rules for files, TCP ports and signals where the kernel has them (Landlock)."""

import ctypes
import errno
import os
import struct
from pathlib import Path

from kwhost.net.resolver.calls import filter_program

__all__ = ["confine"]

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_STEP_SIZE = 8
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # landlock_create_ruleset and those that follow
_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE = 1 << 2
# By version: rights over files, from LANDLOCK_ACCESS_FS_EXECUTE on; then BIND_TCP; then all scopes.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_ALL_FILE_RIGHTS = 16
_BIND_TCP_SINCE, _BIND_TCP = 4, 1
_SCOPES_SINCE, _SCOPES = 6, 3


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def confine(read: Path) -> None:
    """Bind this thread and those that it starts, for ever, after drop_privileges.

    `read` is a file that may be read, also when another takes its place. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    _restrict_files(libc, {read.parent, read.resolve().parent})
    program = filter_program()
    filter_ = _Program(len(program) // _STEP_SIZE, program)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0):
        raise _failure()


def _restrict_files(libc: ctypes.CDLL, directories: set[Path]) -> None:
    version = libc.syscall(_CREATE, None, 0, _VERSION)
    if version < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EOPNOTSUPP):
        return
    rights = (1 << _FILE_RIGHTS.get(version, _ALL_FILE_RIGHTS)) - 1
    network = _BIND_TCP if version >= _BIND_TCP_SINCE else 0
    scopes = _SCOPES if version >= _SCOPES_SINCE else 0
    handled = struct.pack("=3Q", rights, network, scopes)
    rules = _checked(libc.syscall(_CREATE, handled, len(handled) if scopes else 16 if network else 8, 0))
    try:
        for directory in directories:
            if directory.is_dir():
                beneath = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    rule = struct.pack("=Qi", _READ_FILE, beneath)
                    _checked(libc.syscall(_ADD, rules, _PATH_BENEATH, rule, 0))
                finally:
                    os.close(beneath)
        _checked(libc.syscall(_RESTRICT, rules, 0))
    finally:
        os.close(rules)


def _checked(result: int) -> int:
    if result < 0:
        raise _failure()
    return result


def _failure() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
