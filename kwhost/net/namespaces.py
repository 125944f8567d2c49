"""Doing something in another network namespace."""

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

from kwhost.core.errors import NetworkError
from kwhost.net.wishes import Namespace

__all__ = ["run_inside"]

_Answer = TypeVar("_Answer")

_CLONE_NEWNET = 0x4000_0000


def run_inside(namespace: Namespace | None, work: Callable[[], _Answer]) -> _Answer:
    """Call `work` in a network namespace (None: this one) and return what it returns.

    It runs in a thread of its own that ends with it: nothing has to come back from the namespace, which could
    fail and leave a thread where nobody expects it. Raises NetworkError where the namespace is gone, and
    whatever `work` raises.
    """
    if namespace is None:
        return work()
    answers: list[_Answer] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            _enter(namespace)
            answers.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="kwhost namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


def _enter(namespace: Namespace) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    try:
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NetworkError(f"there is no network namespace {namespace}: {error.strerror}") from error
    try:
        if libc.setns(descriptor, _CLONE_NEWNET):
            text = os.strerror(ctypes.get_errno())
            raise NetworkError(f"cannot enter the network namespace {namespace}: {text}")
    finally:
        os.close(descriptor)
