"""Files out of running instances and into them: what `kwhost cp` does at the daemon."""

import io
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kwhost.core.errors import Conflict, NotFound, PermissionDenied, UsageError
from kwhost.core.images.host import HIDDEN_IN_ETC
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.unit.archives import archive, content, entry

pytestmark = pytest.mark.kvm

# Starts a daemon with one instance that has run a script.
Starter = Callable[..., Daemon]

ONE = """
[tenants.acme.instances.one]
command = ["sh", "-c", "{script}; echo ready; exec sleep 1000"]
{more}
"""


def files(name: str = "one") -> str:
    return f"/v1/instances/{name}/files"


def download(daemon: Daemon, path: str) -> tarfile.TarFile:
    data = b"".join(daemon.client.download(files(), {"path": path}))
    return tarfile.open(fileobj=io.BytesIO(data), mode="r:")


def upload(daemon: Daemon, path: str, data: bytes) -> None:
    daemon.client.upload(files(), {"path": path}, [data])


def inside(daemon: Daemon, script: str) -> str:
    done = daemon.run("exec", "one", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.fixture
def start(kwhostd: StartDaemon) -> Starter:
    def start(script: str = "true", more: str = "") -> Daemon:
        daemon = kwhostd(ONE.format(script=script, more=more))
        daemon.wait_state("one", "running")
        eventually(lambda: "ready" in daemon.run("logs", "one").stdout, "the script")
        return daemon

    return start


def test_files_come_out_with_the_instances_own_owners(start: Starter) -> None:
    daemon = start("umask 022; mkdir /tmp/d; echo hello > /tmp/d/f; chown 7:8 /tmp/d/f; mkfifo /tmp/d/p")

    with download(daemon, "/tmp/d") as copy:
        file = copy.getmember("d/f")
        assert copy.getnames() == ["d", "d/f"]
        assert content(copy, "d/f") == b"hello\n"
        assert (file.uid, file.gid, file.mode) == (7, 8, 0o644)


def test_files_go_in_with_the_instances_own_owners(start: Starter) -> None:
    daemon = start()

    upload(daemon, "/tmp", archive(entry("d/f", b"hello", uid=7, gid=8, mode=0o4640)))

    assert inside(daemon, "stat -c '%u %g %a' /tmp/d/f; cat /tmp/d/f") == "7 8 640\nhello"


def test_an_owner_that_the_instance_does_not_have_is_refused(start: Starter) -> None:
    daemon = start()

    with pytest.raises(UsageError, match="'f' is refused: the instance has no user 65536"):
        upload(daemon, "/tmp", archive(entry("f", b"1", uid=65536, gid=0)))

    assert inside(daemon, "ls -A /tmp") == ""


def test_what_cannot_be_copied_is_told(start: Starter) -> None:
    daemon = start()
    file = archive(entry("f", b"1", uid=0, gid=0))

    with pytest.raises(NotFound, match="there is no /missing in the instance"):
        download(daemon, "/missing")
    with pytest.raises(NotFound, match="there is no /missing in the instance"):
        upload(daemon, "/missing", file)
    with pytest.raises(Conflict, match="read-only file system"):
        upload(daemon, "/usr", file)
    with pytest.raises(UsageError, match="no tar archive"):
        upload(daemon, "/tmp", b"nonsense" * 1000)


def test_files_are_there_only_while_the_instance_runs(start: Starter) -> None:
    daemon = start()
    daemon.run("stop", "one", "-t", "0")

    with pytest.raises(Conflict, match="only while it runs"):
        download(daemon, "/etc/hostname")
    with pytest.raises(Conflict, match="only while it runs"):
        upload(daemon, "/tmp", archive())


@pytest.mark.root
def test_nothing_is_copied_that_the_instance_itself_may_not_read(start: Starter) -> None:
    """The daemon is the host's root and could read all that lies below the instance's /etc."""
    files = [path for path in Path("/etc").iterdir() if path.is_file() and path.name not in HIDDEN_IN_ETC]
    closed = {path.name for path in files if path.stat().st_mode & 0o077 == 0}
    if not closed:
        pytest.skip("needs a file in /etc that is closed to all but root")
    daemon = start()

    for name in closed:
        with pytest.raises(PermissionDenied, match=f"/etc/{name} is closed to the instance's own root"):
            download(daemon, f"/etc/{name}")
    with download(daemon, "/etc/") as copy:
        assert closed.isdisjoint(name.removeprefix("etc/") for name in copy.getnames())


def test_a_full_file_system_is_told_and_nothing_half_is_left(start: Starter) -> None:
    daemon = start(more='storage = "1M"')

    with pytest.raises(Conflict, match="big cannot be written: the instance's file system is full"):
        upload(daemon, "/srv", archive(entry("big", bytes(3_000_000), uid=0, gid=0)))

    assert inside(daemon, "ls -A /srv") == ""


def test_an_upload_that_is_given_up_leaves_no_temporary_file(start: Starter) -> None:
    daemon = start()
    data = archive(entry("big", bytes(3_000_000), uid=0, gid=0))

    def pieces() -> Iterator[bytes]:
        yield data[:1_000_000]
        eventually(lambda: copying(daemon) == 1, "the copying process")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        daemon.client.upload(files(), {"path": "/tmp"}, pieces())

    eventually(lambda: copying(daemon) == 0, "the end of the copying process")
    assert inside(daemon, "ls -A /tmp") == ""


def test_an_upload_beyond_the_instances_memory_leaves_nothing_and_the_instance_goes_on(
    start: Starter,
) -> None:
    """What is written to memory counts for the instance, and what its kernel kills is the copy."""
    daemon = start(more='memory = "64M"')
    if any(text.startswith("memory") for text in daemon.client.request("GET", "/v1/info")["lacking"]):
        pytest.skip("needs a control group that limits memory")

    with pytest.raises(Conflict, match="the copy was killed"):
        upload(daemon, "/tmp", archive(entry("big", bytes(100_000_000), uid=0, gid=0)))

    assert inside(daemon, "ls -A /tmp") == ""


def test_files_that_the_kernel_does_not_let_anybody_read_are_left_out(start: Starter) -> None:
    """Many of those in /sys."""
    daemon = start()

    with download(daemon, "/sys") as copy:
        assert "sys/kernel" in copy.getnames()


def test_a_download_that_is_given_up_leaves_no_process(start: Starter) -> None:
    daemon = start("truncate -s 1G /tmp/large")

    pieces = daemon.client.download(files(), {"path": "/tmp/large"})
    next(pieces)
    assert copying(daemon) == 1
    pieces.close()  # type: ignore[attr-defined]

    eventually(lambda: copying(daemon) == 0, "the end of the copying process")


def copying(daemon: Daemon) -> int:
    """How many processes copy for this daemon."""
    assert daemon.process
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children")
    found = 0
    for path in children.parents[1].glob("*/children"):
        for pid in path.read_text().split():
            try:
                found += b"archive_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
            except FileNotFoundError:
                continue
    return found


# Moves a directory away, puts a link to /etc in its place, and takes that back: for ever, in the background.
SWAP = (
    "cd /tmp; mkdir -p a/d away; echo own > a/d/hosts; "
    "(while :; do mv a/d away/d; ln -s /etc a/d; rm a/d; mv away/d a/d; done) & true"
)


@pytest.mark.slow
def test_an_instance_cannot_lead_a_copy_astray_by_swapping_directories(start: Starter) -> None:
    """It swaps a directory for a link to /etc, as fast as it can; each copy is right, or an error."""
    daemon = start(SWAP)
    host, before = sorted(os.listdir("/etc")), inside(daemon, "ls -A /etc")
    own = 0
    for number in range(40):
        with download(daemon, "/tmp/a") as copy:
            for member in copy:
                # What an upload made while the directory was away is moved about with it.
                assert re.search(r"(^a|/d|/hosts|/new[0-9]+)$", member.name) or member.issym()
                if member.name.endswith("/hosts"):
                    assert content(copy, member.name) == b"own\n"
                    own += 1
        with suppress(NotFound, UsageError, Conflict):
            upload(daemon, "/tmp/a", archive(entry(f"d/new{number}", b"1", uid=0, gid=0)))

    assert own
    assert inside(daemon, "ls -A /etc") == before
    assert sorted(os.listdir("/etc")) == host
