"""The jail as the host sees it from outside, around a running instance."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import RunKwhost
from tests.functional.hosting import eventually
from tests.host_mounts import host_mounts
from tests.patience import SECONDS

pytestmark = [pytest.mark.kvm, pytest.mark.root]

NAMESPACES = ("user", "mnt", "pid", "ipc", "uts", "cgroup", "net")
# CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE and SYS_CHROOT.
ROOT_CAPABILITIES = 0x405FB


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def find_supervisor(command: int) -> int:
    """The command's child of that name; it has short-lived other ones that check what the host can."""
    for pid in children(command):
        with suppress(OSError):
            if status(pid)["Name"] == "kw-supervise":
                return pid
    raise AssertionError(f"{command} has no supervisor")


@contextmanager
def running(
    kwhost_command: list[str], *options: str, wrapper: Sequence[str] = ()
) -> "Iterator[tuple[subprocess.Popen[str], int, int]]":
    """The command, its supervisor and the instance's first process, while the program runs."""
    with subprocess.Popen(
        [*kwhost_command, "run", *options, "--", *wrapper, "sh", "-c", "echo up; sleep 1000; :"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "up\n"
            supervisor = find_supervisor(process.pid)
            [first] = children(supervisor)
            yield process, supervisor, first
        finally:
            process.kill()


@pytest.fixture(scope="module")
def instance(kwhost_command: list[str]) -> Iterator[tuple[int, int]]:
    with running(kwhost_command) as (_, supervisor, first):
        yield supervisor, first


@pytest.mark.hw
def test_every_namespace_is_its_own(instance: tuple[int, int]) -> None:
    _, first = instance

    shared = [
        name for name in NAMESPACES if os.path.samefile(f"/proc/{first}/ns/{name}", f"/proc/self/ns/{name}")
    ]

    assert shared == []


@pytest.mark.hw
def test_root_of_the_instance_is_nobody_on_the_host(instance: tuple[int, int]) -> None:
    _, first = instance

    for file in ("uid_map", "gid_map"):
        inside, outside, count = map(int, Path(f"/proc/{first}/{file}").read_text().split())
        assert (inside, count) == (0, 65536)
        assert outside >= 65536
    assert "0" not in status(first)["Uid"].split()
    assert status(first)["Groups"] == ""


@pytest.mark.hw
def test_privileges_are_gone_for_good(instance: tuple[int, int]) -> None:
    _, first = instance
    has = status(first)

    capabilities = {name: int(has[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}

    kept = {"CapPrm": ROOT_CAPABILITIES, "CapEff": ROOT_CAPABILITIES, "CapBnd": ROOT_CAPABILITIES}
    assert capabilities == {"CapInh": 0, "CapAmb": 0} | kept
    assert has["NoNewPrivs"] == "1"


@pytest.mark.hw
def test_each_process_is_behind_a_filter(kwhost_command: list[str]) -> None:
    with running(kwhost_command, "--init") as (_, supervisor, first):
        [monitor] = children(first)
        # The init takes its own once the program has begun.
        eventually(lambda: status(first)["Seccomp"] == "2", "the filter of the instance's init")
        filters = {status(pid)["Name"]: status(pid)["Seccomp"] for pid in (supervisor, first, monitor)}

    assert filters == {"kw-supervise": "2", "kw-init": "2", "sh": "2"}


def test_other_users_have_no_capabilities(kwhost_command: list[str]) -> None:
    with running(kwhost_command, "-u", "1000") as (_, _, first):
        has = status(first)

    assert [int(has[name], 16) for name in ("CapPrm", "CapEff", "CapAmb")] == [0, 0, 0]
    assert int(has["CapBnd"], 16) == ROOT_CAPABILITIES


@pytest.mark.hw
def test_it_runs_from_a_sealed_copy_and_cannot_be_looked_into(instance: tuple[int, int]) -> None:
    _, first = instance

    assert os.readlink(f"/proc/{first}/exe").startswith("/memfd:kwhost-monitor")
    # The kernel gives the files of a process that is not dumpable to root.
    assert Path(f"/proc/{first}/environ").stat().st_uid == 0


@pytest.mark.hw
def test_it_holds_nothing_of_the_host(instance: tuple[int, int]) -> None:
    _, first = instance
    links = {int(fd.name): os.readlink(fd) for fd in Path(f"/proc/{first}/fd").iterdir()}
    harmless = ("pipe:", "/memfd:", "anon_inode:", "/dev/null", "/dev/kvm", "/usr/")

    assert {fd for fd in links if fd < 100} == {0, 1, 2}
    # The two detached mounts show as the roots they are.
    assert [link for link in links.values() if link != "/" and not link.startswith(harmless)] == []
    assert sum(link == "/" for link in links.values()) <= 2


@pytest.mark.hw
def test_nothing_of_the_old_root_is_mounted(instance: tuple[int, int]) -> None:
    _, first = instance
    fields = [line.split() for line in Path(f"/proc/{first}/mountinfo").read_text().splitlines()]

    assert [line[4] for line in fields].count("/") == 1
    unsafe = [line[4] for line in fields if "nosuid" not in line[5].split(",")]
    devices = [line[4] for line in fields if "nodev" not in line[5].split(",")]
    assert unsafe == []
    assert all(path.startswith("/dev/") for path in devices)
    assert not any("shared:" in field or "master:" in field for line in fields for field in line[6:-3])


@pytest.mark.parametrize("wrapper", [[], ["setpriv", "--reuid", "1000", "--clear-groups"]])
def test_killing_the_supervisor_ends_the_instance(kwhost_command: list[str], wrapper: list[str]) -> None:
    """Also one that changed its user, with which the kernel forgets the parent's death signal."""
    with running(kwhost_command, wrapper=wrapper) as (process, supervisor, first):
        os.kill(supervisor, signal.SIGKILL)
        process.communicate(timeout=SECONDS)

        assert process.returncode == 125
        end = time.monotonic() + SECONDS
        while Path(f"/proc/{first}").exists() and status(first)["State"][0] != "Z":
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.mark.parametrize(
    "link", ["/", "/etc", "..", "../../../../../../..", "/proc/self/root", "/proc/1/cwd"]
)
def test_a_hostile_root_cannot_lead_mounts_out(
    run_kwhost: RunKwhost, busybox_root: Path, tmp_path: Path, link: str
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    before = sorted(os.listdir("/"))
    mounts = host_mounts(tmp_path)
    for name in ("dev", "proc", "sys", "tmp"):
        (busybox_root / name).symlink_to(link if link != "/etc" else target)

    done = run_kwhost(["--rootfs", str(busybox_root), "--", "/bin/busybox", "true"])

    assert done.returncode in (0, 125, 127)
    assert done.stderr.count("\n") <= 1
    assert sorted(os.listdir("/")) == before
    assert os.listdir(target) == []
    assert host_mounts(tmp_path) == mounts


def test_volume_targets_are_inside_too(run_kwhost: RunKwhost, busybox_root: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "file").write_text("content\n")
    target.mkdir()
    (busybox_root / "data").symlink_to(target)

    done = run_kwhost(
        ["--rootfs", str(busybox_root), "-v", f"{source}:/data/sub", "--", "cat", "/data/sub/file"]
    )

    assert done.returncode in (0, 125)
    assert os.listdir(target) == []


def test_init_holds_nothing(kwhost_command: list[str]) -> None:
    with running(kwhost_command, "--init") as (process, _, first):
        links = list(Path(f"/proc/{first}/fd").iterdir())
        name, exe = status(first)["Name"], os.readlink(f"/proc/{first}/exe")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)

    assert process.returncode == 128 + signal.SIGTERM
    assert (name, links) == ("kw-init", [])
    assert exe.startswith("/memfd:kwhost-monitor")
