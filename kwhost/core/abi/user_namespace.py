"""Entering another process's user namespace (setns(2), which Python has from 3.12 on)."""

import os

from kwhost.core.abi._abi import lib

__all__ = ["enter_user_namespace"]


def enter_user_namespace(pidfd: int) -> None:
    """Enter the user namespace of a process that a pidfd names; this process must have one thread only.

    Afterwards this process has every capability there and none outside. Raises OSError.
    """
    result = lib.kw_enter_user_namespace(pidfd)
    if result < 0:
        raise OSError(-result, os.strerror(-result))
