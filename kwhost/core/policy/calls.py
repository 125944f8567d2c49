"""The system calls by name, and which of their arguments are numbers that a rule can compare."""

from collections.abc import Sequence
from enum import Enum
from types import MappingProxyType

from kwhost.core.abi._abi import lib
from kwhost.core.abi.call_names import call_name

__all__ = ["CALLS", "OPENING_FLAGS", "Width", "argument_widths", "opening_flags", "plain_arguments"]


class Width(Enum):
    """How much of a register the kernel looks at; a comparison has to look at the same, or is dodged by
    setting bits above."""

    INT = "i"
    LONG = "l"
    # A number or an address, as another argument says.
    ANY = "a"
    POINTER = "p"

    @property
    def mask(self) -> int:
        """The bits that count."""
        return 0xFFFF_FFFF if self is Width.INT else 0xFFFF_FFFF_FFFF_FFFF


# Numbers of the calls of the monitor's table, by name, in the table's order.
CALLS = MappingProxyType(
    {
        call_name(number): number
        for number in range(lib.KW_CALL_LIMIT)
        if call_name(number) != f"call_{number}"
    }
)

# Calls with a number among their arguments: the arguments' widths (Width's letters), then the calls.
_WIDTHS = """
i: close dup alarm exit fsync fdatasync fchdir umask setuid setgid getpgid setfsuid setfsgid getsid
    personality sched_getscheduler sched_get_priority_max sched_get_priority_min mlockall iopl
    io_destroy epoll_create timer_getoverrun timer_delete exit_group unshare eventfd epoll_create1
    inotify_init1 syncfs userfaultfd pkey_free memfd_secret
ia: arch_prctl
ii: dup2 shutdown listen kill msgget flock fchmod setpgid setreuid setregid getpriority tkill
    ioprio_get inotify_rm_watch timerfd_create eventfd2 fanotify_init setns pkey_alloc pidfd_open
    landlock_restrict_self process_mrelease
il: ftruncate
ip: fstat getitimer getrlimit getrusage getgroups setgroups ustat fstatfs sched_setparam
    sched_getparam sched_rr_get_interval setrlimit fremovexattr io_setup timer_gettime clock_settime
    clock_gettime clock_getres mq_notify timerfd_gettime clock_adjtime io_uring_setup
pi: access mkdir creat chmod umount2 swapon sethostname setdomainname create_module delete_module
    pipe2 memfd_create fsopen
pl: munmap truncate getcwd rt_sigpending rt_sigsuspend mlock munlock set_robust_list clone3
iia: ioctl fcntl
iii: socket semget fchown setresuid setresgid setpriority tgkill ioprio_set dup3 membarrier fsmount
    close_range pidfd_getfd
iip: shmctl msgctl rt_sigqueueinfo sched_setscheduler sched_setaffinity sched_getaffinity io_submit
    seccomp
ili: lseek shmget
ill: readahead
ipi: shmat connect sendmsg recvmsg bind semop getdents syslog lookup_dcookie getdents64
    set_mempolicy inotify_add_watch mkdirat unlinkat fchmodat faccessat open_by_handle_at
    finit_module sched_setattr bpf open_tree fspick
ipl: read write readv writev modify_ldt flistxattr signalfd
ipp: setitimer accept getsockname getpeername sysfs nfsservctl io_cancel timer_create mq_getsetattr
    futimesat get_robust_list
lli: ioperm
pii: open poll chown lchown mknod landlock_create_ruleset
pip: symlinkat
pli: msync madvise getrandom mlock2 map_shadow_stack mseal
pll: mprotect
plp: mincore init_module
ppi: readlink lsm_list_modules
ppl: listxattr llistxattr
iiia: semctl
iiip: socketpair reboot epoll_ctl rt_tgsigqueueinfo quotactl_fd
iili: tee
iill: fallocate
iipi: pidfd_send_signal io_uring_register landlock_add_rule
iipl: sendfile
iipp: timer_settime clock_nanosleep migrate_pages timerfd_settime prlimit64
iiaa: ptrace
illi: fadvise64 sync_file_range
ipii: epoll_wait openat mknodat sendmmsg sched_getattr faccessat2 fchmodat2 lsm_set_self_attr
ipip: wait4 quotactl semtimedop renameat removexattrat
ipli: msgsnd vmsplice signalfd4
ipll: pread64 pwrite64
ippi: newfstatat readlinkat utimensat accept4 cachestat lsm_get_self_attr
ippl: rt_sigaction rt_sigprocmask fgetxattr openat2
piii: rseq set_mempolicy_home_node futex_wake futex_requeue
piip: mq_open
pipi: kexec_load
plli: pkey_mprotect
ppii: statmount listmount
pppi: request_key
pppl: rt_sigtimedwait getxattr lgetxattr
iaaaa: keyctl
iiiii: kcmp
iiiip: fanotify_mark
iiipi: setsockopt kexec_file_load
iiipp: getsockopt io_getevents
iipip: waitid
iippi: fsconfig
illll: prctl
ipiii: fchownat
ipiip: recvmmsg statx
ipipi: linkat renameat2 move_mount mount_setattr listxattrat open_tree_attr
iplii: process_madvise
iplip: mq_timedsend
iplli: msgrcv
iplll: preadv pwritev
iplpp: mq_timedreceive
ippii: file_getattr file_setattr
ippli: fsetxattr
ipppi: name_to_handle_at execveat
ipppp: select clone
piiii: perf_event_open
piipi: futex_waitv
pipip: query_module
pippl: ppoll
pllll: remap_file_pages
plllp: mremap
ppipi: get_mempolicy
pppii: add_key
pppip: mount
pppli: setxattr lsetxattr
iiiipi: io_uring_enter
iiippp: io_pgetevents
iipppi: move_pages
ipiipl: epoll_pwait
ipipii: process_vm_readv process_vm_writev
ipipli: splice copy_file_range
ipippi: setxattrat getxattrat
ipippl: epoll_pwait2
iplipi: sendto
iplipp: recvfrom
ipllli: preadv2 pwritev2
ippppp: pselect6
piiapi: futex
piiipi: futex_wait
plipii: mbind
plllil: mmap
"""


def _read_widths() -> dict[str, tuple[Width, ...]]:
    widths: dict[str, tuple[Width, ...]] = {}
    letters = ""
    for word in _WIDTHS.split():
        if word.endswith(":"):
            letters = word[:-1]
        else:
            widths[word] = tuple(Width(letter) for letter in letters)
    return widths


_BY_CALL = _read_widths()


def argument_widths(call: str) -> tuple[Width, ...]:
    """Of each argument of a call; none where no argument is a number."""
    return _BY_CALL.get(call, ())


def plain_arguments(call: str, arguments: Sequence[int]) -> tuple[int, ...]:
    """The arguments as far as they say what the call does: numbers as the kernel sees them, 0 for addresses,
    which differ from one call to the next, and nothing behind the last number."""
    return tuple(
        0 if width is Width.POINTER else value & width.mask
        for value, width in zip(arguments, argument_widths(call), strict=False)
    )


# Calls that open a file, and which argument has their flags. Those of openat2 are in memory: what the monitor
# tells of a judged path has a copy of them in the place of their address.
OPENING_FLAGS = MappingProxyType({"open": 1, "openat": 2, "openat2": 2})
# Those that say what for: O_ACCMODE, O_CREAT, O_TRUNC, and O_TMPFILE's own.
_PURPOSE = 0x3 | 0x40 | 0x200 | 0x40_0000


def opening_flags(call: str, arguments: Sequence[int]) -> int | None:
    """What a call that opens a file wants to do with it, as flags of open; None for other calls."""
    index = OPENING_FLAGS.get(call)
    return None if index is None or index >= len(arguments) else arguments[index] & _PURPOSE
