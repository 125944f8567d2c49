"""Roots that are copies of an image, where no overlay is to be had: whole, bounded, and gone with the run."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.images.on_disk import locked_directory
from kwhost.core.model.ids import DEFAULT_UID_BASE
from kwhost.core.storage.root_copies import RootCopies
from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.image_parts import busybox_layer, docker_archive
from tests.functional.test_volume_store import loops, mounts
from tests.unit.tar_parts import Archive

pytestmark = [pytest.mark.kvm, pytest.mark.root]

IMAGE = (
    busybox_layer("head", "stat", "rm", "mkdir", "touch")
    .directory("etc")
    .add("etc/old", b"old\n")
    .add("etc/gone", b"gone\n")
    .directory("srv", uid=7, gid=8, mode=0o750)
    .add("srv/f", b"f\n", uid=7, gid=8, mode=0o640)
    .data
)
TOP = Archive().add("etc/.wh.gone").add("etc/new", b"new\n").data
COPIES = '[host]\nroot_storage = "copy"\n'
SOFT = '[tenants.soft]\nisolation = "process"\n'
SHOWS = "set -e; ls /etc; cat /etc/old; stat -c '%u %g %a' /srv /srv/f; echo x >/srv/f; touch /made; id -u"
SHOWN = "new\nold\nold\n7 8 750\n7 8 640\n0\n"


def load(daemon: Daemon) -> Daemon:
    file = daemon.directory / "archive.tar"
    file.write_bytes(docker_archive([IMAGE, TOP], "app:1"))
    done = daemon.run("image", "load", str(file))
    assert done.returncode == 0, done.stderr
    return daemon


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Daemon:
    return load(kwhostd(COPIES + SOFT))


def sh(daemon: Daemon, program: str, *options: str) -> Any:
    return daemon.run("run", "--rm", "--image", "app:1", *options, "--", "sh", "-c", program)


def begin(daemon: Daemon, *options: str) -> dict[str, Any]:
    done = daemon.run("run", "-d", "--name", "one", "--image", "app:1", *options, "--", "sleep", "1000")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = daemon.wait_state("one", "running")["root"]
    return found


def copies(daemon: Daemon) -> list[str]:
    roots = daemon.state_dir / "roots"
    return sorted(os.listdir(roots)) if roots.exists() else []


@pytest.mark.parametrize(
    "bound",
    [(), ("--storage", "32M"), ("--changes", "disk"), ("--tenant", "soft", "--engine", "process")],
)
def test_a_copy_is_what_the_layers_show(bound: tuple[str, ...], daemon: Daemon) -> None:
    for _ in range(2):  # what the first changes is its own
        done = sh(daemon, SHOWS, *bound)

        assert (done.stderr, done.stdout) == ("", SHOWN)
    assert copies(daemon) == []


def test_inspect_says_how_a_root_was_made(daemon: Daemon) -> None:
    for options, expected in (
        ((), {"kind": "copy", "changes": "directory", "size": None}),
        (("--storage", "32M"), {"kind": "copy", "changes": "disk", "size": 32 << 20}),
        (("--read-only",), {"kind": "copy", "changes": "nowhere", "size": None}),
    ):
        assert begin(daemon, *options) == expected
        daemon.run("rm", "-f", "one")


def test_a_copy_holds_no_more_than_its_storage(daemon: Daemon) -> None:
    done = sh(daemon, "cat /dev/zero >/f; echo $?; rm /f; echo x >/g; echo $?", "--storage", "32M")

    assert "No space left on device" in done.stderr
    assert done.stdout == "1\n0\n"


def test_an_image_that_does_not_fit_is_an_error(daemon: Daemon) -> None:
    file = daemon.directory / "large.tar"
    file.write_bytes(docker_archive([busybox_layer().add("large", bytes(16 << 20)).data], "app:1"))
    daemon.run("image", "load", str(file))

    done = sh(daemon, "true", "--storage", "10M")

    assert "the copy of the image does not fit into the 10.0 MiB of storage" in done.stderr
    eventually(lambda: not loops(daemon.directory), "no loop device")


def test_a_read_only_copy_is_not_written_to(daemon: Daemon) -> None:
    done = sh(daemon, "cat /etc/new; echo x >/etc/new", "--read-only")

    assert (done.stdout, done.returncode) == ("new\n", 1)
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize("bound", [(), ("--storage", "32M")])
def test_nothing_is_left_of_a_run_whoever_was_killed(bound: tuple[str, ...], daemon: Daemon) -> None:
    begin(daemon, *bound)
    assert len(copies(daemon)) == (0 if bound else 1)
    assert len(loops(daemon.directory)) == (1 if bound else 0)
    assert mounts(daemon.directory) == []
    supervise = int(daemon.instance("one")["pid"])
    daemon.kill()
    os.kill(supervise, 9)
    (daemon.state_dir / "roots/0123456789ab/files/deep").mkdir(parents=True)  # of one that was forgotten

    daemon.start()

    eventually(lambda: not copies(daemon), "that no copy is left")
    eventually(lambda: not loops(daemon.directory), "no loop device")


def test_a_run_goes_on_when_the_daemon_is_killed(daemon: Daemon) -> None:
    root = begin(daemon)
    daemon.kill()
    daemon.start()

    assert daemon.instance("one")["root"] == root
    assert daemon.run("exec", "one", "--", "cat", "/etc/new").stdout == "new\n"


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon whose state is on a file system that can share what files have."""
    if subprocess.run(["which", "mkfs.btrfs"], capture_output=True, check=False).returncode:
        pytest.skip("there is no mkfs.btrfs; install btrfs-progs")
    daemon = Daemon(COPIES)
    daemon.state_dir.mkdir()
    with (tmp_path / "disk").open("wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.btrfs", "-q", tmp_path / "disk"], check=True)
    subprocess.run(["mount", "-o", "loop", tmp_path / "disk", daemon.state_dir], check=True)
    try:
        yield load(daemon.start())
    finally:
        daemon.kill()
        daemon.run("system", "reset", "--yes")
        subprocess.run(["umount", daemon.state_dir], check=True)
        daemon.close()


def test_files_are_shared_with_the_layers_where_that_can_be(btrfs: Daemon) -> None:
    assert begin(btrfs) == {"kind": "reflink", "changes": "directory", "size": None}
    assert sh(btrfs, SHOWS).stdout == SHOWN
    assert btrfs.run("exec", "one", "--", "cat", "/etc/old").stdout == "old\n"


@contextmanager
def stacked_overlays(lower: Path, directory: Path) -> Iterator[Path]:
    """A directory on as many overlays as the kernel puts on each other: it refuses one more."""
    places: list[Path] = []
    try:
        for number in range(2):
            upper, work, place = (directory / f"{name}{number}" for name in ("upper", "work", "place"))
            for path in (upper, work, place):
                path.mkdir()
            options = f"lowerdir={lower},upperdir={upper},workdir={work},userxattr"
            subprocess.run(["mount", "-t", "overlay", "none", "-o", options, place], check=True)
            places.append(place)
            lower = place
        yield lower
    finally:
        for place in reversed(places):
            subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def stacked(tmp_path: Path) -> Iterator[Path]:
    """A root directory on such a one."""
    lower = tmp_path / "root"
    lower.mkdir()
    (tmp_path / "archive.tar").write_bytes(IMAGE)
    subprocess.run(["tar", "-xf", tmp_path / "archive.tar", "-C", lower], check=True)
    with stacked_overlays(lower, tmp_path) as place:
        yield place


def test_where_the_kernel_refuses_an_overlay_there_is_a_copy(kwhostd: StartDaemon, stacked: Path) -> None:
    daemon = kwhostd()
    root = ("--rootfs", str(stacked))

    done = daemon.run("run", "-d", "--name", "one", *root, "--", "sh", "-c", "touch /made; exec sleep 1000")

    assert done.returncode == 0, done.stderr
    assert daemon.wait_state("one", "running")["root"]["kind"] == "copy"
    assert daemon.run("exec", "one", "--", "stat", "-c", "%u %g %a", "/srv/f").stdout == "7 8 640\n"
    assert sorted(os.listdir(stacked)) == ["bin", "etc", "srv"]


def test_who_wants_overlays_alone_gets_no_copy(kwhostd: StartDaemon, stacked: Path) -> None:
    daemon = kwhostd('[host]\nroot_storage = "overlay"\n')

    done = daemon.run("run", "--rm", "--rootfs", str(stacked), "--", "true")

    assert "the image cannot be a layer of an overlay" in done.stderr


def test_who_stops_an_instance_does_not_wait_for_its_copy(daemon: Daemon, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for number in range(20_000):
        (root / f"{number}").touch()
    command = daemon.command("run", "--name", "one", "--rootfs", str(root), "--", "true")

    with subprocess.Popen(command, env=daemon.environment, stderr=subprocess.PIPE, text=True) as starting:
        eventually(lambda: copies(daemon), "the beginning of a copy")
        stopped = daemon.run("stop", "one")
        _, said = starting.communicate(timeout=60)

    assert stopped.returncode == 0, stopped.stderr
    assert "one was stopped before its root was copied" in said
    assert copies(daemon) == []


def test_a_copy_is_on_a_disk_where_owners_cannot_be_mapped(stacked: Path, tmp_path: Path) -> None:
    daemon = Daemon()
    (tmp_path / "empty").mkdir()
    (tmp_path / "more").mkdir()
    with stacked_overlays(tmp_path / "empty", tmp_path / "more") as place:
        daemon.state_dir = place / "state"
        daemon.environment["KWHOST_STATE_DIR"] = str(daemon.state_dir)
        try:
            daemon.start()
            rootfs = ("--rootfs", str(stacked))
            done = daemon.run("run", "-d", "--name", "one", *rootfs, "--", "sleep", "1000")
            assert done.returncode == 0, done.stderr
            root = daemon.wait_state("one", "running")["root"]
            shown = daemon.run("exec", "one", "--", "sh", "-c", "touch /made; stat -c '%u %g' /srv/f /made")
            told = daemon.run("events", "--json").stdout
            daemon.run("rm", "-f", "one")
            daemon.kill()
            daemon.environment["KWHOST_HOST"] = ""
            local = daemon.run("run", *rootfs, "--", "true")
        finally:
            daemon.close()

    assert root == {"kind": "copy", "changes": "disk", "size": 1 << 30}
    assert shown.stdout == "7 8\n0 0\n"
    assert "its root is a copy: no overlay can be had: Invalid argument" in told
    assert "has no id-mapped mounts; keep host.state_dir on ext4, xfs or btrfs" in local.stderr


def test_nothing_is_copied_that_a_user_may_not_use(kwhostd: StartDaemon, tmp_path: Path) -> None:
    """What a path led to when the instance was made is one thing, what it leads to by now another."""
    binds, hidden, link = tmp_path / "binds", tmp_path / "hidden", tmp_path / "binds/link"
    (binds / "root").mkdir(parents=True)
    hidden.mkdir()
    link.symlink_to("root")
    daemon = kwhostd(f'{COPIES}[tenants.acme]\nusers = ["nobody"]\nbinds = ["{binds}"]\n')
    made = {"tenant": "acme", "name": "one", "rootfs": str(link), "command": ["true"]}
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        daemon.client.request("POST", "/v1/instances", {"start": False}, made)
    finally:
        os.seteuid(0)
    link.unlink()
    link.symlink_to(hidden)

    done = daemon.run("start", "one")

    assert f"{link} may not be used: the tenant's users may bind beneath" in done.stderr
    assert "its root is" not in daemon.run("events", "--json").stdout
    assert copies(daemon) == []


@pytest.mark.parametrize("when", ["before it is locked", "while it is locked"])
def test_a_place_that_a_repair_took_is_not_used(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []

    @contextmanager
    def raced(directory: Path) -> Iterator[None]:
        early = when == "before it is locked"
        if not taken and early:
            directory.rmdir()
        with ExitStack() as held:
            try:
                held.enter_context(locked_directory(directory))
            finally:
                if not taken and not early:
                    directory.rmdir()
                taken.append(directory)
            yield

    monkeypatch.setattr("kwhost.core.storage.root_copies.locked_directory", raced)
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer/f").touch()
    copies = RootCopies(tmp_path, lambda: lease_ids(DEFAULT_UID_BASE))

    with copies.held([str(tmp_path / "layer")]) as (files, _):
        copies.repair()

        assert (files / "f").exists()
        assert files.parent not in taken[:1]
    assert os.listdir(tmp_path / "roots") == []
