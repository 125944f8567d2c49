"""The system calls that the resolver makes once it serves, and their filter (seccomp). Pure.

docs/jail.md is made from these tables.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from kwhost.core.abi.call_names import call_name

__all__ = ["ALLOWED", "DEADLY", "Allowed", "Only", "filter_program"]


class Only(NamedTuple):
    """A condition: the argument, after the mask, is one of these."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFF_FFFF


class Allowed(NamedTuple):
    """A call, what needs it, and on which conditions, all of which must hold; `only` says them in words. Of
    several rows for one call, one has to fit."""

    name: str
    need: str
    only: str = ""
    conditions: tuple[Only, ...] = ()


def _option(level: int, *names: int) -> tuple[Only, ...]:
    return Only(1, (level,)), Only(2, names)


_PROT_EXEC = 0x4
_WRITING = 0o3 | 0o100 | 0o1000  # O_ACCMODE, O_CREAT, O_TRUNC
_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
_KIND_MASK = 0xF
_NETLINK_NETFILTER, _NETLINK_EXT_ACK, _SOL_NETLINK = 12, 11, 270
_SO_SNDBUFFORCE = 32
_TCP_NOTSENT_LOWAT = 25
_FIONBIO, _TCGETS, _SIOCGIFINDEX = 0x5421, 0x5401, 0x8933
_F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC = 3, 4, 1030
_PR_SET_NAME = 15
# What the C library makes threads with: memory and all else shared, no namespaces.
_THREAD = 0x3D_0F00

ALLOWED: Final = (
    Allowed("epoll_wait", "waits for everything"),
    Allowed("epoll_ctl", "likewise"),
    Allowed("pselect6", "answers of the kernel's tables"),
    Allowed("restart_syscall", "the kernel makes it itself when a stopped process goes on"),
    Allowed("accept4", "the daemon; questions by TCP"),
    Allowed("recvfrom", "questions, answers of others; its own waking"),
    Allowed("sendto", "answers, questions to others; its own waking; the tables"),
    Allowed("recvmsg", "the daemon, with descriptors; the tables"),
    Allowed("sendmsg", "likewise"),
    Allowed(
        "socket",
        "questions to others",
        "UDP and TCP over IPv4 and IPv6",
        (Only(0, (socket.AF_INET, socket.AF_INET6)), Only(1, _KINDS, _KIND_MASK)),
    ),
    Allowed(
        "socket", "the tables", "nftables", (Only(0, (socket.AF_NETLINK,)), Only(2, (_NETLINK_NETFILTER,)))
    ),
    Allowed("connect", "questions to others"),
    Allowed("getsockname", "what sockets of the daemon's are"),
    Allowed("getpeername", "likewise"),
    Allowed("getsockopt", "likewise; who it is that says what to answer"),
    Allowed(
        "setsockopt",
        "room for changes of the tables",
        "sizes of buffers",
        _option(socket.SOL_SOCKET, socket.SO_SNDBUF, socket.SO_RCVBUF, _SO_SNDBUFFORCE),
    ),
    Allowed(
        "setsockopt", "why a change failed", "the kernel's words", _option(_SOL_NETLINK, _NETLINK_EXT_ACK)
    ),
    Allowed(
        "setsockopt",
        "answers by TCP",
        "when it sends",
        _option(socket.IPPROTO_TCP, socket.TCP_NODELAY, _TCP_NOTSENT_LOWAT),
    ),
    Allowed("ioctl", "not waiting at sockets", "FIONBIO", (Only(1, (_FIONBIO,)),)),
    Allowed("ioctl", "whether a file is a terminal", "TCGETS", (Only(1, (_TCGETS,)),)),
    Allowed("ioctl", "other resolvers on a link", "SIOCGIFINDEX", (Only(1, (_SIOCGIFINDEX,)),)),
    Allowed(
        "fcntl",
        "not waiting; the daemon's last word",
        "flags, copies",
        (Only(1, (_F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC)),),
    ),
    Allowed("close", "sockets and files"),
    Allowed("openat", "resolv.conf, names of marks", "reading", (Only(2, (0,), _WRITING),)),
    Allowed("newfstatat", "whether resolv.conf has changed"),
    Allowed("lseek", "files"),
    Allowed("read", "likewise"),
    Allowed("pread64", "what to answer, from the daemon's memory file"),
    Allowed("write", "its log"),
    Allowed("getrandom", "numbers and ports that nobody guesses"),
    Allowed("clock_gettime", "time, where the vDSO cannot tell"),
    Allowed("futex", "its threads"),
    Allowed("clone", "a thread for the tables", "threads", (Only(0, (_THREAD,)),)),
    Allowed("set_robust_list", "a thread's beginning"),
    Allowed("rseq", "likewise"),
    Allowed("prctl", "its name", "PR_SET_NAME", (Only(0, (_PR_SET_NAME,)),)),
    Allowed("gettid", "likewise"),
    Allowed("madvise", "its end"),
    Allowed("exit", "likewise"),
    Allowed("rt_sigprocmask", "likewise; signals"),
    Allowed("rt_sigaction", "signals"),
    Allowed("rt_sigreturn", "likewise"),
    Allowed("mmap", "memory", "not executable", (Only(2, (0,), _PROT_EXEC),)),
    Allowed("mprotect", "likewise", "not executable", (Only(2, (0,), _PROT_EXEC),)),
    Allowed("mremap", "likewise"),
    Allowed("munmap", "likewise"),
    Allowed("brk", "likewise"),
    Allowed("getpid", "telling the daemon"),
    Allowed("getuid", "reading the names of marks"),
    Allowed("geteuid", "likewise"),
    Allowed("exit_group", "its own end"),
)
# What it never does by mistake. Other calls that are not above fail with EPERM.
DEADLY: Final = (
    *("execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev"),
    *("pidfd_getfd", "bpf", "perf_event_open", "mount", "setns", "unshare", "pivot_root", "chroot"),
    *("open_by_handle_at", "init_module", "finit_module", "io_uring_setup", "userfaultfd", "keyctl"),
)

_LAST_CALL = 1023
_ARCHITECTURE = 0xC000_003E  # AUDIT_ARCH_X86_64
_X32 = 0x4000_0000
_ALLOW, _ERRNO, _KILL = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
_LOAD, _AND, _JUMP_EQUAL, _JUMP_NOT_BELOW, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_STEP = struct.Struct("=HBBI")  # struct sock_filter


class _Step(NamedTuple):
    """An instruction; the jumps are counts of instructions to leave out."""

    code: int
    operand: int
    if_true: int = 0
    if_false: int = 0


def filter_program() -> bytes:
    """The filter, as instructions of struct sock_filter."""
    numbers = {call_name(number): number for number in range(_LAST_CALL + 1)}
    steps = [
        _Step(_LOAD, _ARCHITECTURE_AT),
        _Step(_JUMP_EQUAL, _ARCHITECTURE, if_true=1),
        _Step(_RETURN, _KILL),
        _Step(_LOAD, _NUMBER_AT),
        _Step(_JUMP_NOT_BELOW, _X32, if_false=1),
        _Step(_RETURN, _KILL),
    ]
    for row in ALLOWED:
        steps += _when(numbers[row.name], [*_unless(row.conditions), _Step(_RETURN, _ALLOW)])
    for name in DEADLY:
        steps += _when(numbers[name], [_Step(_RETURN, _KILL)])
    # The C library goes on with clone, whose flags can be seen.
    steps += _when(numbers["clone3"], [_Step(_RETURN, _ERRNO | errno.ENOSYS)])
    steps += [_Step(_RETURN, _ERRNO | errno.EPERM)]
    return b"".join(_STEP.pack(one.code, one.if_true, one.if_false, one.operand) for one in steps)


def _when(number: int, steps: list[_Step]) -> Iterator[_Step]:
    """Do these for one call; what they leave out goes on behind them."""
    yield _Step(_LOAD, _NUMBER_AT)
    yield _Step(_JUMP_EQUAL, number, if_false=len(steps))
    yield from steps


def _unless(conditions: tuple[Only, ...]) -> list[_Step]:
    """Instructions that leave out one more than themselves where a condition does not hold."""
    steps: list[_Step] = []
    for one in reversed(conditions):
        behind = len(steps) + 1
        checks = [
            _Step(_JUMP_EQUAL, value, if_true=left, if_false=0 if left else behind)
            for left, value in zip(range(len(one.values) - 1, -1, -1), one.values, strict=True)
        ]
        load = [_Step(_LOAD, _ARGUMENTS_AT + 8 * one.argument), _Step(_AND, one.mask)]
        steps = [*load, *checks, *steps]
    return steps
