"""Doing something in another network namespace."""

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kwhost.core.errors import NetworkError
from kwhost.net.wishes import Namespace

__all__ = ["new_namespace", "run_inside"]

_Answer = TypeVar("_Answer")

_CLONE_NEWNET = 0x4000_0000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_SETTINGS = Path("/proc/sys/net/ipv4")
_OPEN = {"ip_unprivileged_port_start": "0", "ping_group_range": "0\t2147483647"}


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


def new_namespace() -> int:
    """A descriptor of a new network namespace for an instance; it goes with the last that uses it.

    It belongs to the host, so that nobody in an instance has a capability over it. Every user in it may bind
    ports below 1024 and send ICMP echo requests, as in containers. Raises NetworkError.
    """
    descriptors: list[int] = []
    errors: list[OSError] = []

    def run() -> None:
        try:
            _check(_libc().unshare(_CLONE_NEWNET))
            _open_to_all()
            descriptors.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="kwhost namespace")
    thread.start()
    thread.join()
    if errors:
        raise NetworkError(f"cannot make a network namespace: {errors[0].strerror}") from errors[0]
    return descriptors[0]


def _open_to_all() -> None:
    """In the calling thread's namespace: loopback is up, and what needs a capability elsewhere does not."""
    request = struct.pack("16sH22x", b"lo", _IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
    for name, value in _OPEN.items():
        (_SETTINGS / name).write_text(value)


def _check(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)  # os.setns and os.unshare came with Python 3.12


def _enter(namespace: Namespace) -> None:
    try:
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NetworkError(f"there is no network namespace {namespace}: {error.strerror}") from error
    try:
        if _libc().setns(descriptor, _CLONE_NEWNET):
            text = os.strerror(ctypes.get_errno())
            raise NetworkError(f"cannot enter the network namespace {namespace}: {text}")
    finally:
        os.close(descriptor)
