"""Tries calls behind the resolver's filter, and says as JSON what came of each: an errno, 0, or "killed"."""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from kwhost.core.abi.call_names import call_name
from kwhost.net.resolver.calls import ALLOWED, DEADLY
from kwhost.net.resolver.confinement import confine
from kwhost.net.resolver.privileges import drop_privileges
from kwhost.net.resolver.servers import Servers
from kwhost.net.resolving import RESOLVER_UID
from kwhost.net.zones import Upstream

LAST = 470
# The kernel lets uretprobe and uprobe pass through all filters.
EXEMPT = (335, 336)
_X32 = 0x4000_0000
_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: int) -> int:
    """What came of it: an errno, or 0."""
    ctypes.set_errno(0)
    words = [ctypes.c_long(one) for one in (*arguments, *(-1,) * (6 - len(arguments)))]
    return ctypes.get_errno() if _libc.syscall(ctypes.c_long(number), *words) == -1 else 0


def _attempt(work: Callable[[], object]) -> int:
    try:
        work()
    except OSError as error:
        return error.errno or -1
    return 0


def _start_thread() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def _option(level: int, name: int) -> None:
    with socket.socket() as one:
        one.setsockopt(level, name, 1)


def _run_together(target: Path) -> dict[str, int | str]:
    """Everything that does not end the process."""
    free = {row.name for row in ALLOWED} | {*DEADLY, "clone3", *map(call_name, EXEMPT)}
    results: dict[str, int | str] = {
        call_name(number): _call(number) for number in range(LAST) if call_name(number) not in free
    }
    name = ctypes.create_string_buffer(b"named")
    attempts: dict[str, Callable[[], object]] = {
        "a Unix socket": lambda: socket.socket(socket.AF_UNIX),
        "routes": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
        "executable memory": lambda: _raise(_call(9, 0, 4096, 5, 0x22, -1, 0)),
        "memory made executable": lambda: _raise(_call(10, 0x1000, 4096, 4)),
        "binding to a link": lambda: _option(socket.SOL_SOCKET, 25),
        "a signal": lambda: os.kill(os.getpid(), 0),
        "writing a file": lambda: os.open(target / "new", os.O_WRONLY | os.O_CREAT),
        "reading another file": lambda: os.open(target / "resolv.conf", os.O_RDONLY),
        "a namespace": lambda: _raise(_call(56, 0x1000_0000, 0, 0, 0, 0)),
        "clone3": lambda: _raise(_call(435, 0, 0)),
        "naming the process": lambda: _raise(_call(157, 15, ctypes.addressof(name))),
        "another prctl": lambda: _raise(_call(157, 4, 1, 0, 0, 0)),
        "a question": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "the tables": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12),
        "a thread": _start_thread,
        "resolv.conf": lambda: os.open("/etc/resolv.conf", os.O_RDONLY),
        "a server on a link": lambda: Servers().configure([Upstream("fe80::1%lo")]),
    }
    return results | {attempt: _attempt(work) for attempt, work in attempts.items()}


def _raise(number: int) -> None:
    if number:
        raise OSError(number, "")


def _killed_by(number: int) -> int | str:
    """What becomes of a process that makes the call."""
    pid = os.fork()
    if pid == 0:
        try:
            confine(Path("/etc/resolv.conf"))
            _call(number)
        finally:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS
    return "killed" if killed else status


def main() -> None:
    target = Path(mkdtemp())
    (target / "resolv.conf").write_text("")
    target.chmod(0o777)
    drop_privileges(RESOLVER_UID)
    landlock = _libc.syscall(444, None, 0, 1)
    numbers = {call_name(number): number for number in range(LAST)}
    results = {name: _killed_by(numbers[name]) for name in DEADLY}
    results["x32"] = _killed_by(_X32 | numbers["getpid"])
    confine(Path("/etc/resolv.conf"))
    json.dump({"landlock": landlock} | results | _run_together(target), sys.stdout)


if __name__ == "__main__":
    main()
