"""Programs where neither user namespaces nor mounts can be had: what remains of the jail holds."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwhost.core.hostcheck.kernel import landlock_version
from tests.conftest import RunKwhost
from tests.functional.bare import WARNED, Surroundings, need_landlock
from tests.patience import SECONDS

pytestmark = pytest.mark.root

TRY = """
import errno, os, sys
def attempt(name, action, *arguments):
    try:
        action(*arguments)
        print(name, "done")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
"""


@pytest.fixture(params=["container", "user"])
def around(request: pytest.FixtureRequest) -> Surroundings:
    return Surroundings(need_landlock(request.param))


@pytest.fixture
def container() -> Surroundings:
    return Surroundings("container")


@pytest.fixture
def user() -> Surroundings:
    return Surroundings(need_landlock("user"))


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory that every user of this host may read and write, with a file in it."""
    with tempfile.TemporaryDirectory(prefix="kwhost-") as name:
        directory = Path(name)
        directory.chmod(0o777)
        (directory / "file").write_text("of the host\n")
        (directory / "file").chmod(0o666)
        yield directory


def test_where_namespaces_can_be_made_they_are(run_kwhost: RunKwhost) -> None:
    done = run_kwhost(["--engine", "process", "--isolation", "process", "--", "sh", "-c", "echo $$"])

    assert done.stdout == "1\n"


@pytest.mark.parametrize("status", [0, 42])
def test_output_and_status_are_the_programs(around: Surroundings, status: int) -> None:
    done = around.run("--", "sh", "-c", f"echo out; echo err >&2; exit {status}")

    assert (done.stdout, done.stderr, done.returncode) == ("out\n", WARNED + "err\n", status)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_that_ends_it_is_told(around: Surroundings, number: signal.Signals) -> None:
    assert around.run("--", "sh", "-c", f"kill -{number.value} $$").returncode == 128 + number


def test_it_has_no_capability_and_gains_none(around: Surroundings) -> None:
    status = around.run("--", "cat", "/proc/self/status").stdout
    found = dict(line.split(":\t", 1) for line in status.splitlines())

    assert {found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0000000000000000"}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")


def test_roots_programs_have_an_id_of_their_own(container: Surroundings) -> None:
    first, second = (container.python("import os; print(os.getresuid(), os.getgroups())") for _ in range(2))

    assert first != second
    assert "(0," not in first[0]


def test_it_reads_and_executes_what_the_image_host_has(around: Surroundings) -> None:
    done = around.run("--", "sh", "-c", "cat /etc/passwd >/dev/null && ls -l /usr/bin/env && python3 -c 1")

    assert (done.returncode, done.stderr) == (0, WARNED)


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/etc/ssh/ssh_config", "/root", "/home", "/tmp", "/var/lib", "/run"]
)
def test_the_rest_of_the_host_cannot_be_opened(around: Surroundings, path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"there is no {path} here")

    assert around.python(TRY + "attempt('open', os.open, sys.argv[1], 0)", path) == ["open EACCES"]


@pytest.mark.hw
def test_files_that_others_may_write_stay_as_they_are(around: Surroundings, readable: Path) -> None:
    script = (
        TRY
        + """
os.chdir(sys.argv[1])
attempt("read", os.open, "file", 0)
attempt("write", os.open, "file", 1)
attempt("remove", os.unlink, "file")
attempt("rename", os.rename, "file", "other")
attempt("link", os.link, "file", os.environ["HOME"] + "/link")
attempt("make", os.open, "new", os.O_CREAT | os.O_WRONLY)
attempt("directory", os.mkdir, "new")
attempt("list", os.listdir)
"""
    )
    if landlock_version()[0] >= 3:  # earlier ones know nothing of it, which `kwhost inspect` tells
        script += 'attempt("truncate", os.truncate, "file", 0)\n'
    before = {path.name: path.read_text() for path in readable.iterdir()}

    tried = dict(line.split() for line in around.python(script, str(readable)))

    assert set(tried.values()) <= {"EACCES", "EXDEV", "EPERM"}
    assert {path.name: path.read_text() for path in readable.iterdir()} == before


def test_it_writes_in_a_directory_that_goes_with_it(around: Surroundings) -> None:
    script = "cd $TMPDIR && [ $HOME = $TMPDIR ] && mkdir -p a/b && echo 1 >a/b/c && cp /bin/true . && ./true"

    done = around.run("--", "sh", "-c", script)

    assert (done.returncode, done.stderr) == (0, WARNED)
    assert not around.scratches()


@pytest.mark.hw
def test_it_has_no_sockets_but_pairs(around: Surroundings) -> None:
    script = (
        TRY
        + """
import socket
for family in ("UNIX", "INET", "INET6", "NETLINK", "VSOCK", "PACKET"):
    attempt(family, socket.socket, getattr(socket, "AF_" + family), socket.SOCK_DGRAM)
attempt("pair", socket.socketpair)
attempt("datagrams", socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM)
"""
    )
    assert around.python(script) == [
        "UNIX EAFNOSUPPORT", "INET EAFNOSUPPORT", "INET6 EAFNOSUPPORT", "NETLINK EAFNOSUPPORT",
        "VSOCK EAFNOSUPPORT", "PACKET EAFNOSUPPORT", "pair done", "datagrams EPROTONOSUPPORT",
    ]  # fmt: skip


@pytest.mark.hw
def test_it_makes_no_namespaces_and_leaves_no_queues(around: Surroundings) -> None:
    script = (
        TRY
        + """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
attempt("user", call, 272, 0x10000000)
attempt("mount", call, 272, 0x20000)
attempt("memory", call, 29, 0, 4096, 0o1600)
attempt("semaphores", call, 64, 0, 1, 0o1600)
attempt("messages", call, 68, 0, 0o1600)
attempt("queue", call, 240, b"kwhost-test", 0o102, 0o600, 0)
"""
    )
    tried = dict(line.split() for line in around.python(script))

    assert set(tried.values()) <= {"EPERM", "ENOSYS", "ENOSPC", "EINVAL"}
    assert {tried[name] for name in ("memory", "semaphores", "messages", "queue")} == {"ENOSYS"}


# Run beside the program: another one of the same user, who has a file open for it to be known by.
BYSTANDER = """
import subprocess, sys
other = subprocess.Popen(["sleep", "1000"])
try:
    sys.exit(subprocess.run([*sys.argv[1:], str(other.pid)]).returncode or other.poll() or 0)
finally:
    other.kill()
"""


def test_other_processes_are_out_of_its_reach(around: Surroundings) -> None:
    script = (
        TRY
        + """
import resource
other = int(sys.argv[1])
for number in (0, 9):
    attempt("kill", os.kill, other, number)
for parent in (os.getppid(), 1):
    attempt("parent", os.kill, parent, 9)
attempt("pidfd", lambda: __import__("signal").pidfd_send_signal(os.pidfd_open(other), 9))
attempt("limits", resource.prlimit, other, resource.RLIMIT_CPU, (1, 1))
attempt("turns", os.setpriority, os.PRIO_PROCESS, other, 19)
attempt("processors", os.sched_setaffinity, other, {0})
attempt("environment", open, f"/proc/{other}/environ")
attempt("memory", open, f"/proc/{other}/mem")
attempt("descriptor", os.readlink, f"/proc/{other}/fd/0")
attempt("root", os.listdir, f"/proc/{other}/root/")
attempt("score", open, f"/proc/{other}/oom_score_adj", "w")
"""
    )
    run = (sys.executable, "-m", "kwhost", "run", "--engine", "process", "--isolation", "process")
    command = around.command(sys.executable, "-c", BYSTANDER, *run, "--", "python3", "-c", script)

    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert (done.returncode, done.stderr) == (0, WARNED)
    tried = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, result in tried if result not in ("EPERM", "EACCES", "ENOSYS")] == []


def test_it_signals_not_everybody_at_once(user: Surroundings) -> None:
    assert user.python(TRY + "attempt('kill', os.kill, -1, 0)") == ["kill EPERM"]


def test_a_users_files_keep_their_modes_owners_and_times(user: Surroundings, readable: Path) -> None:
    script = (
        TRY
        + """
os.chdir(sys.argv[1])
attempt("mode", os.chmod, "file", 0)
attempt("owner", os.chown, "file", -1, -1)
attempt("times", os.utime, "file", (0, 0))
attempt("attribute", os.setxattr, "file", "user.x", b"1")
attempt("watch", lambda: __import__("ctypes").CDLL(None, use_errno=True).inotify_add_watch)
fd = os.open("/etc/passwd", 0)
attempt("open mode", os.fchmod, fd, 0o644)
attempt("open times", os.utime, fd, (0, 0))
"""
    )
    before = (readable / "file").stat()

    tried = dict(line.rsplit(" ", 1) for line in user.python(script, str(readable)))

    assert {tried[name] for name in ("mode", "owner", "times", "attribute", "open mode", "open times")} == {
        "EPERM"
    }
    assert (readable / "file").stat() == before


def test_a_user_changes_modes_owners_and_times_of_what_it_wrote(user: Surroundings) -> None:
    script = (
        "cd $HOME && echo 1 >a && chmod 640 a && touch -d @5 a && cp -p a b && stat -c '%a %Y' b "
        "&& tar cf t.tar a && rm a && tar xf t.tar && stat -c '%a %Y' a"
    )
    done = user.run("--", "sh", "-c", script)

    assert (done.stdout, done.stderr) == ("640 5\n640 5\n", WARNED)


# A thread has a name lead to its own file and to the host's in turn, while another changes what it names.
RACE = """
import os, sys, threading, time
os.chdir(os.environ["HOME"])
open("own", "w").close()
os.symlink("own", "harmless")
os.symlink(sys.argv[1], "outside")
end = time.monotonic() + 1.5
def swap():
    while time.monotonic() < end:
        for target in ("harmless", "outside"):
            os.link(target, "next", follow_symlinks=False)
            os.rename("next", "name")
            if os.path.lexists("next"):
                os.unlink("next")
done = refused = 0
threading.Thread(target=swap).start()
while time.monotonic() < end:
    try:
        os.chmod("name", 0o600)
        os.utime("name", (0, 0))
        done += 1
    except FileNotFoundError:
        pass
    except PermissionError:
        refused += 1
print(done > 0, refused > 0)
"""


def test_a_name_that_changes_while_it_is_judged_never_wins(user: Surroundings, readable: Path) -> None:
    before = (readable / "file").stat()

    assert user.python(RACE, str(readable / "file")) == ["True True"]

    assert (readable / "file").stat() == before


def test_its_processes_stay_marked(around: Surroundings) -> None:
    script = (
        TRY
        + """
import resource
which = resource.RLIMIT_RTTIME
soft, hard = resource.getrlimit(which)
try:
    resource.setrlimit(which, (5, 5))
except ValueError as error:
    print(error)
print(resource.getrlimit(which) == (soft, hard) and hard >= 1 << 62)
"""
    )
    assert around.python(script) == ["not allowed to raise maximum limit", "True"]


def test_it_gets_a_terminal(around: Surroundings) -> None:
    done = around.run("-t", "--", "sh", "-c", "tty >/dev/null && echo to-the-terminal >/dev/tty; stty size")

    assert done.stdout.replace("\r", "") == "to-the-terminal\n24 80\n"


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("-v", "/usr:/mnt"), "volumes need mounts"),
        (("--tmpfs", "/mnt"), "a tmpfs needs mounts"),
        (("--secret", "key=/etc/hostname"), "secrets need mounts"),
        (("--memory", "64M"), "--memory with the engine 'process' needs control groups"),
        (("-w", "/nowhere"), "the working directory /nowhere"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_what_cannot_be_had_is_an_error(
    around: Surroundings, arguments: tuple[str, ...], missing: str
) -> None:
    done = around.run(*arguments, "--", "true")

    assert done.returncode in (1, 2, 125, 126)
    (error,) = done.stderr.removeprefix(WARNED).splitlines()
    assert missing in error
    assert not around.scratches()


def test_an_image_cannot_be_had(container: Surroundings, busybox_root: Path, tmp_path: Path) -> None:
    environment = os.environ | {"KWHOST_STATE_DIR": str(tmp_path / "state")}
    importing = [sys.executable, "-m", "kwhost", "image", "import", str(busybox_root), "base"]
    subprocess.run(importing, env=environment, timeout=SECONDS, check=True, capture_output=True)

    with container.start("--image", "base", "--", "ls", env=environment) as process:
        output, errors = process.communicate(timeout=SECONDS)

    assert (process.returncode, output) == (125, "")
    assert "the image 'base' needs mounts, which cannot be had here" in errors


def test_an_ordinary_users_program_has_no_other_id_and_root(user: Surroundings, busybox_root: Path) -> None:
    assert "id 5 does not exist" in user.run("-u", "5:5", "--", "true").stderr
    assert "--rootfs needs user namespaces" in user.run("--rootfs", str(busybox_root), "--", "ls").stderr


def _refused_calls(project: Path) -> tuple[dict[int, int], dict[int, int]]:
    """Calls that fail with an error whatever their arguments, by number: of all programs, and of those that
    have the id of an ordinary user's other processes."""
    jail = project / "kwhost/monitor"
    rows = re.findall(
        r"^(?:CALL|REFUSE)\((\d+), (\w+),", (jail / "calls/table.def").read_text(), re.MULTILINE
    )
    numbers = {name: int(number) for number, name in rows}
    parts = (jail / "jail/bare_filter.def").read_text().split("\nSHARED\n")
    found = [re.findall(r"^REFUSED\((\w+), (\w+),", part, re.MULTILINE) for part in parts]
    for_all, for_shared = ({numbers[name]: getattr(errno, error) for name, error in part} for part in found)
    return for_all, for_shared


def test_what_its_filter_refuses_is_what_it_says(around: Surroundings, project: Path) -> None:
    script = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
argument = ctypes.c_long(int(sys.argv[1]))
for number in sys.argv[2:]:
    result = libc.syscall(int(number), *[argument] * 6)
    print(number, ctypes.get_errno() if result < 0 else 0)
"""

    def tried(argument: int, calls: dict[int, int]) -> dict[int, int]:
        lines = around.python(script, str(argument), *map(str, calls))
        return {int(number): int(error) for number, error in map(str.split, lines)}

    for_all, for_shared = _refused_calls(project)

    assert tried(0, for_all) == for_all
    found = tried(-1, for_shared)  # with descriptors and addresses that cannot be
    assert found == for_shared if around.kind == "user" else not found.items() & for_shared.items()


def test_where_ids_are_few_each_program_has_one() -> None:
    first, second = (Surroundings("remapped").python("import os; print(os.getuid())") for _ in range(2))

    assert {len(first), len(second)} == {1}
    assert all(60_000 < int(uid) < 65_534 for uid in (*first, *second))


def test_without_landlock_modes_of_files_are_what_is_left() -> None:
    lacking = Surroundings("container-without-landlock")

    done = lacking.run("--", "sh", "-c", "cat /etc/shadow; echo >/etc/x; echo 1 >$HOME/x && cat $HOME/x")

    assert done.stdout == "1\n"
    assert done.stderr.count("ermission denied") == 2
    assert "--read-only needs mounts or Landlock" in lacking.run("--read-only", "--", "true").stderr


def test_without_landlock_an_ordinary_users_program_is_not_run() -> None:
    done = Surroundings("user-without-landlock").run("--", "true")

    assert (done.stdout, done.returncode) == ("", 125)
    assert "an ordinary user's programs need Landlock" in done.stderr


def test_a_directory_is_the_root_where_root_may_change_it(
    container: Surroundings, busybox_root: Path
) -> None:
    (busybox_root / "tmp").mkdir()
    (busybox_root / "tmp").chmod(0o1777)
    script = "ls /; cd $HOME && echo 1 >x && cat x; echo no >/etc/passwd"
    before = sorted(str(path) for path in busybox_root.rglob("*"))

    done = container.run("--rootfs", str(busybox_root), "--", "sh", "-c", script)

    assert (done.stdout, done.stderr) == (
        "bin\netc\ntmp\n1\n",
        WARNED + "sh: can't create /etc/passwd: Permission denied\n",
    )
    assert sorted(str(path) for path in busybox_root.rglob("*")) == before


# Whoever owns the directory lets it lead elsewhere once it was found, and looked at.
SWAPPED = """
import os, sys
from kwhost.core.cli.main import entry
from kwhost.core.supervise import bare

link, there, elsewhere, after = sys.argv[1:5]
planned = bare.plan_bare

def swap(path):
    os.rename(path, path + ".before")
    os.symlink(elsewhere, path)

def swapping(*arguments):
    if after == "found":
        swap(link)
    plan = planned(*arguments)
    if after == "planned":
        swap(there)
    return plan

bare.plan_bare = swapping
sys.argv[1:] = "run --engine process --isolation process --rootfs".split() + [link, "--", "ls", "/"]
entry()
"""


@pytest.mark.parametrize(
    ("after", "output", "error"),
    [("found", "bin\netc\ntmp\n", ""), ("planned", "", "there is no such root: too many symbolic links")],
)
def test_a_root_that_leads_elsewhere_once_it_was_found_is_not_followed(
    container: Surroundings, busybox_root: Path, tmp_path: Path, after: str, output: str, error: str
) -> None:
    (busybox_root / "tmp").mkdir()
    (busybox_root / "tmp").chmod(0o1777)
    link = tmp_path / "link"
    link.symlink_to(busybox_root)
    command = container.command(
        sys.executable, "-c", SWAPPED, str(link), str(busybox_root), str(tmp_path / "elsewhere"), after
    )
    shutil.copytree(busybox_root, tmp_path / "elsewhere", symlinks=True)
    (tmp_path / "elsewhere/secret").touch()

    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.stdout == output
    assert error in done.stderr
