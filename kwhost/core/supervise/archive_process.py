"""The process that copies files of an instance: `archive_process OPERATION WHOSE ROOT PIDFD CGROUPS PATH`.

OPERATION is `read`, which writes an archive to standard output, or `write`, which unpacks the one from
standard input. WHOSE rights it takes: `namespace`, of the instance's root; or `owner`, of who owns ROOT, for
an instance without a user namespace. ROOT is a descriptor of the instance's root directory, PIDFD one of its
first process, CGROUPS are files, separated by commas, by which it joins the instance's control groups.

It is a process of its own because it takes the rights of the instance's root and no others: it can read and
write what the instance could itself, owners are the instance's ids, and what it writes counts for the
instance's limits. The instance does not see it, but may change everything it touches. Errors are one line
of JSON on standard error: `kind`, a class of core.errors, and `text`.
"""

import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from kwhost.core.abi.user_namespace import enter_user_namespace
from kwhost.core.errors import Conflict, KwhostError
from kwhost.core.supervise.archive_read import write_archive_of
from kwhost.core.supervise.archive_write import unpack_archive

__all__ = ["main"]

_BUFFER = 64 * 1024
_MEMORY_MAX = 512 * 1024 * 1024


class _Request(NamedTuple):
    operation: str
    whose: str
    root: int
    pidfd: int
    cgroups: tuple[int, ...]
    path: str

    @classmethod
    def parse(cls, arguments: list[str]) -> "_Request":
        operation, whose, root, pidfd, cgroups, path = arguments
        files = tuple(int(fd) for fd in cgroups.split(",") if fd)
        return cls(operation, whose, int(root), int(pidfd), files, path)


def _bound_itself() -> None:
    """Hostile archives must not need memory without end; deep directories need descriptors."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_MAX, _MEMORY_MAX))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0)
    # Where the instance's memory is full, this goes before a process of the instance does.
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _enter(request: _Request) -> None:
    """Become the instance's root, outside of its other namespaces, or its user. Raises OSError."""
    for fd in request.cgroups:
        os.write(fd, b"0")
        os.close(fd)
    if request.whose == "owner":
        _become_owner(request.root)
        return
    enter_user_namespace(request.pidfd)
    # An ordinary user without subordinate ids keeps the own groups, as the instance does.
    with open("/proc/self/setgroups", encoding="ascii") as file:
        may_set_groups = file.read().strip() == "allow"
    if may_set_groups:
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _become_owner(directory: int) -> None:
    """An ordinary user is it already."""
    info = os.fstat(directory)
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(info.st_gid, info.st_gid, info.st_gid)
    os.setresuid(info.st_uid, info.st_uid, info.st_uid)


def _watch(pidfd: int) -> Callable[[], None]:
    """What raises Conflict once the instance has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)

    def check() -> None:
        if poll.poll(0):
            raise Conflict("the instance has ended meanwhile")

    return check


def _copy(request: _Request) -> None:
    # The host's root gives each instance a range of ids; an ordinary user may have one id only.
    foreign_ids = os.geteuid() != 0 or request.whose == "owner"
    check = _watch(request.pidfd)
    _bound_itself()
    try:
        _enter(request)
    except OSError as error:
        check()
        raise Conflict(f"cannot take the rights of the instance's root: {error.strerror}") from error
    if request.operation == "read":
        output: BinaryIO = os.fdopen(sys.stdout.fileno(), "wb", _BUFFER, closefd=False)
        host_ids = request.whose == "owner"
        write_archive_of(request.root, request.path, output, check, host_ids=host_ids)
    else:
        source: BinaryIO = os.fdopen(sys.stdin.fileno(), "rb", _BUFFER, closefd=False)
        unpack_archive(request.root, request.path, source, foreign_ids=foreign_ids, check=check)


def _end(*_: object) -> None:
    """Whoever wanted the copy does not want it any more: clean up and end."""
    sys.exit(1)


def main(arguments: list[str]) -> None:
    """Do the work; ends the process."""
    signal.signal(signal.SIGTERM, _end)
    status = 1
    try:
        _copy(_Request.parse(arguments))
        status = 0
    except KwhostError as error:
        print(json.dumps({"kind": type(error).__name__, "text": str(error)}), file=sys.stderr)  # noqa: T201
    except BrokenPipeError:
        pass  # nobody wants the rest
    # Without what Python does at its end: the part of an archive that is not written yet stays unwritten.
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
