"""Fixtures of the functional tests."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.built import built
from tests.functional.hosted import HostedInstance, New, Pipes
from tests.functional.hosting import Daemon, StartDaemon


@pytest.fixture
def busybox_root(tmp_path: Path) -> Path:
    """A root file system with nothing but busybox and two files in /etc."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("needs busybox-static")
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "etc").mkdir()
    shutil.copy(busybox, root / "bin" / "busybox")
    for name in ("sh", "ls", "cat", "id", "sleep"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text("owner:x:0:0::/:/bin/sh\nguest:x:77:78::/home/guest:/bin/sh\n")
    (root / "etc/group").write_text("owner:x:0:\nguests:x:78:guest\n")
    root.chmod(0o755)
    tmp_path.chmod(0o755)
    return root


@pytest.fixture(
    params=[pytest.param(True, id="direct", marks=pytest.mark.kvm), pytest.param(False, id="process")]
)
def virtual(request: pytest.FixtureRequest) -> bool:
    """Whether the test's instance has a virtual machine: with this fixture it is run on both engines."""
    return bool(request.param)


@pytest.fixture
def new(tmp_path: Path, busybox_root: Path) -> Iterator[New]:
    """Makes instances that are ended after the test."""
    made: list[HostedInstance] = []

    def make(directory: Path = tmp_path, *, virtual: bool = True) -> HostedInstance:
        made.append(HostedInstance(directory, busybox_root, virtual=virtual))
        return made[-1]

    yield make
    for instance in made:
        instance.close()


@pytest.fixture
def hosted(new: New) -> HostedInstance:
    return new()


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    """Makes pipes; their ends are closed after the test, wherever they went."""
    ends: list[tuple[int, int]] = []

    def make() -> tuple[int, int]:
        pair = os.pipe()
        ends.extend((fd, os.fstat(fd).st_ino) for fd in pair)
        return pair

    yield make
    for fd, inode in ends:
        try:
            if os.fstat(fd).st_ino == inode:
                os.close(fd)
        except OSError:
            pass


@pytest.fixture
def kwhostd() -> Iterator[StartDaemon]:
    """`kwhostd(CONFIGURATION)` starts a daemon that hosts it; see hosting.Daemon for what can be done with
    it. Everything is ended and removed after the test, also where the test killed the daemon."""
    made: list[Daemon] = []

    def start(configuration: str = "") -> Daemon:
        made.append(Daemon(configuration))
        return made[-1].start()

    yield start
    for daemon in made:
        daemon.close()


@pytest.fixture(scope="session")
def probe(project: Path) -> Path:
    """What stands in for a monitor that was taken over (kwhost/monitor/tests/jail_probe.c)."""
    return built(project, "kwhost-jail-probe")
