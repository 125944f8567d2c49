"""The part of pyroute2 that kwhost uses, with types, and its errors as kwhost's.

A session belongs to the thread that opened it, and works in that thread's network namespace.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyroute2 import IPRoute  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

from kwhost.core.errors import NetworkError

__all__ = ["NetlinkError", "Session", "failure", "ignoring", "open_session"]

# An IPRoute; pyroute2 has no types.
Session = Any


@contextmanager
def open_session() -> Iterator[Session]:
    """A session for a few calls."""
    with IPRoute() as session:
        yield session


class ignoring:  # noqa: N801 - it reads as contextlib.suppress does
    """Take some errors for success: what should be made is there, or what should be removed is gone."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        return isinstance(error, NetlinkError) and error.code in self._numbers


def failure(doing: str, error: Exception, needs: str) -> NetworkError:
    """An error that names the operation; `needs` is what the kernel must have for it."""
    if isinstance(error, NetworkError):
        return NetworkError(f"cannot {doing}: {error}")
    code = error.code if isinstance(error, NetlinkError) else getattr(error, "errno", None)
    text = os.strerror(code) if isinstance(code, int) else str(error)
    if code in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ENOENT) and needs:
        text += f" (this needs {needs})"
    return NetworkError(f"cannot {doing}: {text}")
