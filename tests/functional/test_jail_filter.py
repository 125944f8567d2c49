"""What a process of an instance can still do to the host once somebody else controls it.

The probe (kwhost/monitor/tests/jail_probe.c) sets a filter or rules as the jail does, and tries them.
"""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROLES = ("monitor", "init", "supervise", "hosted")
CALLS = range(513)
# The kernel lets these through every filter: they work in its own trampolines only.
EXEMPT = {335, 336}  # uretprobe, uprobe
X32 = 1 << 30
OWN = 100  # the probe's number for the sealed executable's descriptor
ANY = 2**64 - 1
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
    "hosted": {"clone": (17,), "mmap": (0, 0, 1), "mprotect": (WINDOW, 0, 1)},
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


def published(project: Path) -> dict[str, set[str]]:
    """The calls that docs/jail.md says are open to each role."""
    chapters = re.split(r"^## ", (project / "docs/jail.md").read_text(), flags=re.MULTILINE)[1:]
    passed = chapters[0].partition("\n")[2]
    names = re.findall(r"\w+", re.sub(r" \(.*?\)", "", passed))
    found: dict[str, set[str]] = {"monitor": set(names)}
    for chapter in chapters[1:-1]:
        title = chapter.partition("\n")[0].lower()
        role = "hosted" if "hosted" in title else title.partition(":")[0]
        found.setdefault(role, set()).update(re.findall(r"^\| (?!call )(\w+) \|", chapter, re.MULTILINE))
    found["hosted"] |= found["monitor"] | found["supervise"]
    return found


def deadly(project: Path) -> set[str]:
    """The calls that docs/jail.md says end the process."""
    return set(
        re.findall(r"\w+", (project / "docs/jail.md").read_text().rpartition("## ")[2].partition("\n")[2])
    )


@pytest.fixture(scope="module")
def probe(project: Path) -> Path:
    subprocess.run(
        ["cmake", "--build", project / "build/dev", "--target", "kwhost-jail-probe"],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    return project / "build/dev/kwhost-jail-probe"


def attempt(
    probe: Path, role: str, calls: Sequence[tuple[int, Sequence[int | str]]], bits: int = 64
) -> list[str]:
    """What became of each call behind the role's filter."""
    lines = (
        f"{bits} {number} {' '.join(map(str, (*arguments, *[ANY] * (6 - len(arguments)))))}\n"
        for number, arguments in calls
    )
    done = subprocess.run(
        [probe, str(ROLES.index(role))], input="".join(lines), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("role", ROLES)
def test_exactly_the_published_calls_are_let_through(project: Path, probe: Path, role: str) -> None:
    number = numbers(project)
    good = {number[name]: arguments for name, arguments in GOOD[role].items()}

    outcomes = attempt(probe, role, [(call, good.get(call, ())) for call in CALLS])

    passed = {call for call, outcome in zip(CALLS, outcomes, strict=True) if outcome == "passed"}
    assert passed - EXEMPT == {number[name] for name in published(project)[role]}


@pytest.mark.parametrize("role", ROLES)
def test_exactly_the_published_calls_end_the_process(project: Path, probe: Path, role: str) -> None:
    outcomes = attempt(probe, role, [(call, ()) for call in CALLS])

    killed = {call for call, outcome in zip(CALLS, outcomes, strict=True) if outcome == "killed"}
    assert killed == {numbers(project)[name] for name in deadly(project) - published(project)[role]}


@pytest.mark.parametrize("role", ROLES)
def test_calls_of_other_architectures_end_the_process(probe: Path, role: str) -> None:
    calls = [(call, (0, 0, 0)) for call in CALLS]

    narrow = attempt(probe, role, calls, bits=32)
    x32 = attempt(probe, role, [(X32 | call, arguments) for call, arguments in calls])

    assert {*narrow, *x32} == {"killed"}


@pytest.mark.parametrize(("call", "arguments"), BAD.values(), ids=BAD)
def test_a_monitor_cannot_have(project: Path, probe: Path, call: str, arguments: Sequence[int | str]) -> None:
    padded = (*arguments, *[0] * (6 - len(arguments)))

    assert attempt(probe, "monitor", [(numbers(project)[call], padded)]) == ["refused"]


@pytest.mark.root
def test_files_can_be_changed_in_the_instance_alone(probe: Path) -> None:
    done = subprocess.run([probe, "files"], capture_output=True, text=True, check=True)
    outcome = {name: int(error) for name, error in (line.split() for line in done.stdout.splitlines())}
    if outcome.pop("version") in (errno.ENOSYS, errno.EOPNOTSUPP):
        pytest.skip("this kernel has no Landlock")

    beneath_the_root = ("make-directory", "rename", "remove-directory")
    elsewhere = ("other", "write-proc", "write-memory", "execute")
    allowed = dict.fromkeys(("rules", "stand-in", "read-proc", *beneath_the_root), 0)
    assert outcome == allowed | dict.fromkeys(elsewhere, errno.EACCES)
