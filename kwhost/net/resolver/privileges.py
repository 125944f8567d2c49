"""What the resolver may do: change the network's tables, and nothing else that an ordinary user may not."""

import ctypes
import os
import resource
import struct
from pathlib import Path

__all__ = ["drop_privileges"]

_CAP_NET_ADMIN = 12
_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 4, 8, 24, 38
_CAPABILITY_VERSION = 0x2008_0522  # _LINUX_CAPABILITY_VERSION_3
_LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")


def drop_privileges(uid: int) -> None:
    """Become `uid`, keep CAP_NET_ADMIN alone, for ever. Before any other thread starts. Raises OSError.

    Only root can: another user keeps what it has, which is no capability.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if os.geteuid() == 0:
        for capability in range(int(_LAST_CAPABILITY.read_text()) + 1):
            _call(libc.prctl, _PR_CAPBSET_DROP, capability, 0, 0, 0)
        _call(libc.prctl, _PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        _set_capabilities(libc, 1 << _CAP_NET_ADMIN)
    _call(libc.prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call(libc.prctl, _PR_SET_DUMPABLE, 0, 0, 0, 0)


def _call(function: "ctypes._NamedFuncPointer", *arguments: object) -> None:
    if function(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _set_capabilities(libc: ctypes.CDLL, mask: int) -> None:
    """Effective and permitted; nothing is inheritable."""
    low, high = mask & 0xFFFF_FFFF, mask >> 32
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    _call(libc.capset, header, struct.pack("=6I", low, low, 0, high, high, 0))
