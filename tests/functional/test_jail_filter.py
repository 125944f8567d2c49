"""What a process of an instance can still do to the host once somebody else controls it.

The probe (kwhost/monitor/tests/jail_probe.c) sets a filter or rules as the jail does, and tries them.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from kwhost.core.engines.launch import sealed_record
from kwhost.core.policy.ceiling import ceiling_calls
from kwhost.core.policy.ceiling_table import compile_ceiling
from tests.functional.ceilings import ceiling_of, profile
from tests.functional.jail_page import read_jail_page

ROLES = ("monitor", "init", "supervise", "hosted", "joiner", "broker", "keeper")
CALLS_TRIED = range(513)
# The kernel lets these through every filter: they work in its own trampolines only.
EXEMPT = {335, 336}  # uretprobe, uprobe
X32 = 1 << 30
OWN = 100  # the probe's number for the sealed executable's descriptor
ANY = 2**64 - 1
# What a program that computes needs once it runs.
LOOP = ("read", "write", "brk", "mmap", "munmap", "exit_group")
WINDOW = 1 << 44

# Arguments within what the filter demands; everything else is tried with all bits set.
GOOD: dict[str, dict[str, Sequence[int | str]]] = {
    "monitor": {
        "ioctl": (0, 0xAE80),  # KVM_RUN
        "fcntl": (0, 1),
        "close_range": (OWN - 1, OWN - 2),
        "execveat": (OWN, "own_path", 0, 0, 0x1000),
        "mmap": (0, 0, 1),
        "mprotect": (WINDOW, 0, 1),
        "munmap": (WINDOW + 1, 0),
        "mremap": (WINDOW + 1, 0, 0, 0, 0),
        "shmat": (ANY, WINDOW, 0),
        "madvise": (WINDOW + 1, 0, 4),
        "clone": (17,),
        "unshare": (0x400,),  # CLONE_FILES
        "prctl": (4, 0),  # PR_SET_DUMPABLE
        "arch_prctl": (0x1001, 0),  # ARCH_SET_GS
        "prlimit64": (0, ANY, 0, 0),
        "pipe2": (1, 0),
        "socket": (1, ANY, ANY),
        "socketpair": (1, ANY, ANY, 0),
        "setsockopt": (ANY, 1, 0),
        "getsockopt": (ANY, 1, 0),
    },
    "init": {},
    "supervise": {"ioctl": (ANY, 0x5414)},  # TIOCSWINSZ
    "hosted": {"ioctl": (ANY, 0x5414), "mmap": (0, 0, 1)},
    "keeper": {},
    "joiner": {"clone": (17,), "mmap": (0, 0, 1), "mprotect": (WINDOW, 0, 1)},
    "broker": {
        "clone": (17,),
        "mmap": (0, 0, 1),
        "ioctl": (ANY, 0xC0502100),  # SECCOMP_IOCTL_NOTIF_RECV
        "prctl": (4, 0),
        "prlimit64": (0, 1),  # RLIMIT_FSIZE
    },
}

# Arguments that no monitor has a use for.
BAD: dict[str, tuple[str, Sequence[int | str]]] = {
    "typing into a terminal": ("ioctl", (0, 0x5412)),  # TIOCSTI
    "making a device of KVM's": ("ioctl", (0, 0xC00CAEE0)),  # KVM_CREATE_DEVICE
    "an interrupt controller of KVM's": ("ioctl", (0, 0xAE60)),  # KVM_CREATE_IRQCHIP
    "KVM's state of a processor": ("ioctl", (0, 0x4090AE82)),  # KVM_SET_REGS
    "attaching a block device": ("ioctl", (0, 0x4C00)),  # LOOP_SET_FD
    "executable memory": ("mmap", (0, 4096, 7, 0x22, ANY, 0)),
    "executable memory of a file": ("mmap", (0, 4096, 5, 2, 3, 0)),
    "memory over the image": ("mmap", (0x400000, 4096, 3, 0x32, ANY, 0)),
    "making memory executable": ("mprotect", (WINDOW, 4096, 5)),
    "making the image writable": ("mprotect", (0x400000, 4096, 3)),
    "unmapping the image": ("munmap", (0x400000, 4096)),
    "moving the image away": ("mremap", (0x400000, 4096, 4096, 3, WINDOW)),
    "moving memory over the image": ("mremap", (WINDOW, 4096, 4096, 3, 0x400000)),
    "executable shared memory": ("shmat", (0, WINDOW, 0o100000)),
    "shared memory over the image": ("shmat", (0, 0x400000, 0o40000)),
    "merging pages with others'": ("madvise", (WINDOW, 4096, 12)),
    "a user namespace": ("clone", (0x10000000 | 17,)),
    "a mount namespace": ("clone", (0x20000 | 17,)),
    "a network namespace": ("clone", (0x40000000 | 17,)),
    "leaving for a user namespace": ("unshare", (0x10000000,)),
    "a looser filter": ("prctl", (22, 2, 0)),  # PR_SET_SECCOMP
    "being looked into": ("prctl", (4, 1)),  # PR_SET_DUMPABLE
    "being traced": ("prctl", (0x59616D61, ANY)),  # PR_SET_PTRACER
    "another image": ("prctl", (35, 1, 0)),  # PR_SET_MM
    "calls that pass by the filter": ("prctl", (59, 1, 0)),  # PR_SET_SYSCALL_USER_DISPATCH
    "another's limits": ("prlimit64", (1, 7, WINDOW, 0)),
    "a file of its choice": ("execveat", (3, "own_path", 0, 0, 0x1000)),
    "a program by its path": ("execveat", (OWN, WINDOW, 0, 0, 0x1000)),
    "a file by its path": ("execveat", (OWN, "own_path", 0, 0, 0)),
    "closing the executable": ("close", (OWN,)),
    "closing all descriptors": ("close_range", (0, 0xFFFFFFFF, 0)),
    "replacing the executable": ("dup2", (3, OWN)),
    "replacing it with flags": ("dup3", (3, OWN, 0)),
    "closing the executable on exec": ("fcntl", (OWN, 2, 1)),
    "closing it on exec by ioctl": ("ioctl", (OWN, 0x5451)),
    "packets": ("socket", (17, 3, 0)),  # AF_PACKET
    "crypto sockets": ("socket", (38, 5, 0)),  # AF_ALG
    "the host's machines": ("socket", (40, 1, 0)),  # AF_VSOCK
    "netfilter": ("socket", (16, 3, 12)),  # NETLINK_NETFILTER
    "kernel notices in a pipe": ("pipe2", (WINDOW, 0o200)),
    "a BPF filter on a socket": ("setsockopt", (0, 1, 50, 0, 0)),
    "TLS in the kernel": ("setsockopt", (0, 6, 31, 0, 0)),
    "iptables": ("setsockopt", (0, 0, 64, 0, 0)),
    "ip6tables": ("setsockopt", (0, 41, 64, 0, 0)),
}


def numbers(project: Path) -> dict[str, int]:
    """Every call of x86-64 Linux."""
    table = (project / "kwhost/monitor/calls/table.def").read_text()
    rows = re.findall(r"^(?:CALL|REFUSE)\((\d+), (\w+),", table, re.MULTILINE)
    return {name: int(number) for number, name in rows}


# By name: the calls that the program may ever make, None: all, and the ceiling that says so.
CEILINGS: dict[str, tuple[frozenset[str] | None, bytes]] = {
    "no-ceiling": (None, b""),
    "strict": (ceiling_calls(profile("strict")), compile_ceiling(profile("strict"))),
    "a-loop": (frozenset(LOOP), ceiling_of(LOOP)),
    "nothing": (frozenset(), ceiling_of(())),
}


def attempt(
    probe: Path,
    role: str,
    calls: Sequence[tuple[int, Sequence[int | str]]],
    *,
    bits: int = 64,
    ceiling: bytes = b"",
) -> list[str]:
    """What became of each call behind the role's filter."""
    lines = (
        f"{bits} {number} {' '.join(map(str, (*arguments, *[ANY] * (6 - len(arguments)))))}\n"
        for number, arguments in calls
    )
    file = sealed_record(ceiling) if ceiling else -1
    try:
        done = subprocess.run(
            [probe, str(ROLES.index(role)), str(file)],
            input="".join(lines),
            capture_output=True,
            text=True,
            check=True,
            pass_fds=[file] if ceiling else [],
        )
    finally:
        if ceiling:
            os.close(file)
    return done.stdout.splitlines()


def outcomes(
    project: Path, probe: Path, role: str, ceiling: bytes, *, good: bool = True
) -> Mapping[str, set[int]]:
    """The numbers of all calls by what became of them; `good`: with arguments that pass where any do."""
    number = numbers(project)
    arguments = {number[name]: given for name, given in GOOD[role].items()} if good else {}
    tried = attempt(probe, role, [(call, arguments.get(call, ())) for call in CALLS_TRIED], ceiling=ceiling)
    return {
        outcome: {call for call, its in zip(CALLS_TRIED, tried, strict=True) if its == outcome} - EXEMPT
        for outcome in ("passed", "refused", "killed")
    }


@pytest.mark.parametrize("ceiling", CEILINGS)
@pytest.mark.parametrize("role", ROLES)
def test_exactly_the_published_calls_are_let_through(
    project: Path, probe: Path, role: str, ceiling: str
) -> None:
    calls, data = CEILINGS[ceiling]

    passed = outcomes(project, probe, role, data)["passed"]

    assert passed == {numbers(project)[name] for name in read_jail_page(project).opened(role, calls)}


@pytest.mark.parametrize("name", ["strict", "web", "default"])
def test_a_profile_leaves_as_many_calls_as_published(project: Path, probe: Path, name: str) -> None:
    passed = outcomes(project, probe, "monitor", compile_ceiling(profile(name)))["passed"]

    assert len(passed) == read_jail_page(project).counts[name]


@pytest.mark.parametrize("ceiling", ["no-ceiling", "nothing"])
@pytest.mark.parametrize("role", ROLES)
def test_exactly_the_published_calls_end_the_process(
    project: Path, probe: Path, role: str, ceiling: str
) -> None:
    calls, data = CEILINGS[ceiling]
    page = read_jail_page(project)

    killed = outcomes(project, probe, role, data, good=False)["killed"]

    assert killed == {
        numbers(project)[name] for name in page.deadly["what ends the process"] - page.opened(role, calls)
    }


@pytest.mark.parametrize("role", ROLES)
def test_calls_of_other_architectures_end_the_process(probe: Path, role: str) -> None:
    calls = [(call, (0, 0, 0)) for call in CALLS_TRIED]

    narrow = attempt(probe, role, calls, bits=32)
    x32 = attempt(probe, role, [(X32 | call, arguments) for call, arguments in calls])

    assert {*narrow, *x32} == {"killed"}


@pytest.mark.parametrize(("call", "arguments"), BAD.values(), ids=BAD)
def test_a_monitor_cannot_have(project: Path, probe: Path, call: str, arguments: Sequence[int | str]) -> None:
    padded = (*arguments, *[0] * (6 - len(arguments)))

    assert attempt(probe, "monitor", [(numbers(project)[call], padded)]) == ["refused"]
