"""The built-in policies from inside: what programs need works under them, what they refuse fails as told.

`default` is what all programs of test_programs.py run under; `strict` is shown by one that computes, `web` by
a server.
"""

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kwhost.core.policy.constants import CONSTANTS
from tests.engine.conftest import Outcome, Run
from tests.engine.ways import Way
from tests.engine.workshop import INSIDE, Workshop
from tests.patience import SECONDS

pytestmark = pytest.mark.root

ROW = re.compile(r"^(CALL|REFUSE)\((\d+), (\w+), (\w+)", re.MULTILINE)

RunUnder = Callable[..., Outcome]
# A call with its arguments (see caller.c), and what becomes of it.
Expected = tuple[str, str]


@pytest.fixture(scope="session")
def run_under(way: Way, workshop: Workshop, kwhost_command: list[str]) -> RunUnder:
    """`run_under("strict", [COMMAND...])`: as an instance with that policy."""

    def run(policy: str, command: Iterable[str], stdin: str = "") -> Outcome:
        kwhost = [*way.caller, *kwhost_command, "run", *way.options, "--policy", policy, "-i"]
        done = subprocess.run(
            [*kwhost, "-v", f"{workshop.folder}:{INSIDE}:ro", "--", *command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Outcome(status=done.returncode, output=done.stdout, errors=done.stderr)

    return run


@pytest.fixture(scope="session")
def numbers(project: Path) -> dict[str, int]:
    text = (project / "kwhost/monitor/calls/table.def").read_text()
    return {name: int(number) for _, number, name, _ in ROW.findall(text)}


@pytest.fixture(scope="session")
def become(run_under: RunUnder, workshop: Workshop, numbers: dict[str, int]) -> Callable[..., list[Expected]]:
    """`become("default", CALLS)`: what becomes of each call under a policy, in order."""
    program = workshop.build(Path(__file__).with_name("caller.c"))

    def become_of(policy: str, calls: Iterable[str]) -> list[Expected]:
        calls = list(calls)
        lines = [
            f"{numbers[name]} {_in_numbers(rest)}\n" for name, _, rest in (c.partition(" ") for c in calls)
        ]
        done = run_under(policy, [program], "".join(lines))
        assert done.status == 0, done.errors
        return list(zip(calls, done.output.split(), strict=True))

    return become_of


def _in_numbers(arguments: str) -> str:
    """Arguments with the kernel's names of constants, `A|B` too, as numbers."""
    return " ".join(
        re.sub(r"[A-Z][A-Z0-9_|]+", _number, word) if word[0] != "@" else word for word in arguments.split()
    )


def _number(match: "re.Match[str]") -> str:
    value = 0
    for name in match[0].split("|"):
        value |= CONSTANTS[name]
    return str(value)


# What a filter cannot refuse as the table says: the kernel answers uretprobe itself, with SIGILL, and what
# clone3 has in memory is not seen.
OTHER_IN_A_PROCESS = {"uretprobe": "", "clone3": "ENOSYS", "rseq": "EINVAL"}


def in_this_way(way: Way, calls: Iterable[Expected]) -> list[Expected]:
    """What is expected where there may be no virtual machine."""
    if way.is_direct:
        return list(calls)
    answers = [(call, OTHER_IN_A_PROCESS.get(call.partition(" ")[0], answer)) for call, answer in calls]
    return [(call, answer) for call, answer in answers if answer]


def test_default_refuses_what_the_table_does_with_its_errno(
    way: Way, project: Path, become: Callable[..., list[Expected]]
) -> None:
    text = (project / "kwhost/monitor/calls/table.def").read_text()
    documented = [(name, error) for kind, _, name, error in ROW.findall(text) if kind == "REFUSE"]

    documented = in_this_way(way, documented)

    assert become("default", [name for name, _ in documented]) == documented


# What issue after issue of other systems was about: each by a call with good arguments.
REFUSED_BY_DEFAULT: list[Expected] = [
    ("mount @none @/tmp @tmpfs 0 0", "EPERM"),
    ("umount2 @/tmp 0", "EPERM"),
    ("pivot_root @/tmp @/tmp", "EPERM"),
    ("fsopen @tmpfs 0", "EPERM"),
    ("open_tree 0 @/ 0", "EPERM"),
    ("setns 0 0", "EPERM"),
    ("unshare CLONE_NEWUSER", "EPERM"),
    ("unshare CLONE_NEWNS|CLONE_NEWNET", "EPERM"),
    ("unshare CLONE_NEWTIME", "EPERM"),
    ("clone CLONE_NEWUSER|SIGCHLD 0 0 0 0", "EPERM"),
    ("clone CLONE_NEWPID|SIGCHLD 0 0 0 0", "EPERM"),
    ("clone CLONE_NEWNET|SIGCHLD 0 0 0 0", "EPERM"),
    ("clone3 clone:CLONE_NEWUSER 88", "EPERM"),
    ("keyctl 0 0 0 0 0", "ENOSYS"),
    ("add_key @user @k @v 1 0", "ENOSYS"),
    ("bpf 0 @attributes 72", "EPERM"),
    ("perf_event_open @attributes 0 0 0 0", "EPERM"),
    ("userfaultfd 0", "EPERM"),
    ("io_uring_setup 1 @parameters", "ENOSYS"),
    ("ptrace 0 0 0 0", "EPERM"),
    ("process_vm_readv 1 0 0 0 0 0", "EPERM"),
    ("process_vm_writev 1 0 0 0 0 0", "EPERM"),
    ("pidfd_getfd 0 0 0", "EPERM"),
    ("kcmp 1 1 0 0 0", "EPERM"),
    ("init_module @module 6 @", "EPERM"),
    ("finit_module 0 @ 0", "EPERM"),
    ("delete_module @kvm 0", "EPERM"),
    ("kexec_load 0 0 0 0", "EPERM"),
    ("kexec_file_load 0 0 0 0 0", "EPERM"),
    ("reboot 0xfee1dead 0x28121969 0 0", "EPERM"),
    ("clock_settime 0 @0123456789abcdef", "EPERM"),
    ("settimeofday @0123456789abcdef 0", "EPERM"),
    ("swapon @/tmp/x 0", "EPERM"),
    ("syslog 3 @buffer 6", "EPERM"),
    ("sethostname @x 1", "EPERM"),
    ("iopl 3", "EPERM"),
    ("ioperm 0 1 1", "EPERM"),
    ("open_by_handle_at 0 @handle 0", "EPERM"),
    ("name_to_handle_at 0 @/ @handle @mount 0", "EPERM"),
    ("fanotify_init 0 0", "EPERM"),
    ("socket AF_INET SOCK_RAW 1", "EPERM"),
    ("socket AF_INET6 SOCK_RAW|SOCK_CLOEXEC 58", "EPERM"),
    ("socket AF_INET SOCK_PACKET 768", "EPERM"),
    ("socket AF_PACKET SOCK_RAW 768", "EAFNOSUPPORT"),
    ("socket AF_VSOCK SOCK_STREAM 0", "EAFNOSUPPORT"),
    ("socket AF_ALG SOCK_SEQPACKET 0", "EAFNOSUPPORT"),
    ("socket AF_BLUETOOTH SOCK_RAW 0", "EAFNOSUPPORT"),
    ("socket AF_NETLINK SOCK_RAW NETLINK_AUDIT", "EPROTONOSUPPORT"),
    ("socket AF_NETLINK SOCK_RAW NETLINK_NETFILTER", "EPROTONOSUPPORT"),
    ("ioctl 0 TIOCSTI @x", "EPERM"),
    ("mknod @/tmp/disk S_IFBLK 2049", "EPERM"),
]


def test_default_refuses_what_ordinary_programs_do_not_need(
    way: Way, become: Callable[..., list[Expected]]
) -> None:
    expected = in_this_way(way, REFUSED_BY_DEFAULT)

    assert become("default", [call for call, _ in expected]) == expected


UNDER_STRICT: list[Expected] = [
    ("getpid", "ok"),
    ("openat AT_FDCWD @/etc/passwd 0 0", "ok"),
    ("openat AT_FDCWD @/dev/null O_RDWR 0", "ok"),
    ("openat AT_FDCWD @/tmp/new O_WRONLY|O_CREAT 384", "EACCES"),
    ("openat AT_FDCWD @/etc/passwd O_RDWR 0", "EACCES"),
    ("mkdir @/tmp/new 448", "EACCES"),
    ("unlink @/etc/passwd", "EACCES"),
    ("rename @/etc/passwd @/etc/other", "EACCES"),
    ("symlink @/etc/passwd @/tmp/link", "EACCES"),
    ("chmod @/tmp 511", "EACCES"),
    ("fchmod 0 511", "EPERM"),
    ("truncate @/etc/passwd 0", "EACCES"),
    ("chown @/tmp 0 0", "EPERM"),
    ("chroot @/tmp", "EPERM"),
    ("setuid 0", "EPERM"),
    ("fork", "EPERM"),
    ("vfork", "EPERM"),
    ("clone SIGCHLD 0 0 0 0", "EPERM"),
    ("clone3 clone:SIGCHLD 88", "ENOSYS"),
    ("execve @/bin/true 0 0", "EPERM"),
    ("execveat AT_FDCWD @/bin/true 0 0 0", "EPERM"),
    ("socket AF_INET SOCK_STREAM 0", "EPERM"),
    ("socket AF_UNIX SOCK_STREAM 0", "EPERM"),
    ("socketpair AF_UNIX SOCK_STREAM 0 @12345678", "ok"),
    ("connect 0 in:80:127.0.0.1 16", "EPERM"),
    ("bind 0 in:80:127.0.0.1 16", "EPERM"),
    ("listen 0 1", "EPERM"),
]


def test_strict_reads_and_computes_and_does_nothing_else(become: Callable[..., list[Expected]]) -> None:
    assert become("strict", [call for call, _ in UNDER_STRICT]) == UNDER_STRICT


COMPUTE = """
import hashlib, threading
def work(results, number): results[number] = hashlib.sha256(bytes([number]) * 1_000_000).hexdigest()[:8]
results = {}
threads = [threading.Thread(target=work, args=(results, n)) for n in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(results.values()), sum(n * n for n in range(1000)))
"""


def test_strict_is_enough_for_computing_with_threads(run_native: Run, run_under: RunUnder) -> None:
    command = ["/usr/bin/python3", "-c", COMPUTE]

    done = run_under("strict", command)

    assert (done.status, done.errors) == (0, "")
    assert done.output == run_native(command).output


UNDER_WEB: list[Expected] = [
    ("openat AT_FDCWD @/etc/passwd 0 0", "ok"),
    ("openat AT_FDCWD @/etc/shadow 0 0", "EACCES"),
    ("openat AT_FDCWD @/etc/passwd O_RDWR 0", "EACCES"),
    ("openat AT_FDCWD @/usr/bin/new O_WRONLY|O_CREAT 384", "EACCES"),
    ("openat AT_FDCWD @/tmp/new O_WRONLY|O_CREAT 511", "ok"),
    ("close fd", "ok"),
    ("execve @/tmp/new 0 0", "EACCES"),
    ("socket AF_INET SOCK_STREAM 0", "ok"),
    ("connect fd in:80:169.254.169.254 16", "EPERM"),
    ("socket AF_INET SOCK_STREAM 0", "ok"),
    ("bind fd in:8080:0.0.0.0 16", "ok"),
    ("socket AF_INET SOCK_DGRAM 0", "ok"),
    ("sendto fd @x 1 0 in:53:169.254.0.1 16", "EPERM"),
    ("socket AF_INET SOCK_RAW 1", "EPERM"),
    ("mlockall 1", "EPERM"),
    ("personality 0", "EPERM"),
    ("chroot @/tmp", "EPERM"),
    ("mount @none @/tmp @tmpfs 0 0", "EPERM"),
]


def test_web_writes_data_and_keeps_away_from_the_rest(become: Callable[..., list[Expected]]) -> None:
    assert become("web", [call for call, _ in UNDER_WEB]) == UNDER_WEB


SERVE = """
import http.server, pathlib, subprocess, sys, threading, urllib.request
pathlib.Path('/srv/www').mkdir(parents=True)
pathlib.Path('/srv/www/index.html').write_text('served')
class Quiet(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *rest): super().__init__(*rest, directory='/srv/www')
    def log_message(self, *rest): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 8000), Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(urllib.request.urlopen('http://127.0.0.1:8000/').read().decode())
print(subprocess.run(['cat', '/srv/www/index.html'], capture_output=True, text=True).stdout)
"""


def test_web_is_enough_for_a_server(run_under: RunUnder) -> None:
    done = run_under("web", ["/usr/bin/python3", "-c", SERVE])

    assert (done.status, done.output, done.errors) == (0, "served\nserved\n", "")
