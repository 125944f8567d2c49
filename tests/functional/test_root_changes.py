"""Where what an instance writes to its root goes: to memory or to a disk, never further than its storage, and
nowhere once it has ended."""

from pathlib import Path
from typing import Any

import pytest

from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.image_parts import busybox_layer, docker_archive
from tests.functional.test_volume_store import loops, mounts
from tests.unit.tar_parts import Archive

pytestmark = [pytest.mark.kvm, pytest.mark.root]

IMAGE = (
    busybox_layer("head", "stat", "mv", "rm", "rmdir", "mkdir").directory("etc").add("etc/old", b"old\n").data
)
TOP = Archive().directory("srv").add("srv/f", b"f\n", uid=7, gid=8, mode=0o640).data


@pytest.fixture
def daemon(kwhostd: StartDaemon) -> Daemon:
    daemon = kwhostd()
    file = daemon.directory / "archive.tar"
    file.write_bytes(docker_archive([IMAGE, TOP], "app:1"))
    assert daemon.run("image", "load", str(file)).returncode == 0
    return daemon


def sh(daemon: Daemon, program: str, *options: str) -> Any:
    return daemon.run("run", "--rm", "--image", "app:1", *options, "--", "sh", "-c", program)


def begin(daemon: Daemon, *options: str) -> dict[str, Any]:
    daemon.run("run", "-d", "--name", "one", *options, "--", "sleep", "1000")
    found: dict[str, Any] = daemon.wait_state("one", "running")["root"]
    return found


@pytest.mark.parametrize("changes", ["memory", "disk"])
def test_a_root_holds_what_its_storage_says(changes: str, daemon: Daemon) -> None:
    fill = "cat /dev/zero >/f; echo $?; rm /f; echo x >/g; echo $?"

    done = sh(daemon, fill, "--changes", changes, "--storage", "16M")

    assert "No space left on device" in done.stderr
    assert done.stdout == "1\n0\n"


@pytest.mark.parametrize("changes", ["memory", "disk"])
def test_a_root_can_be_changed_as_any_other(changes: str, daemon: Daemon) -> None:
    program = (
        "set -e; echo new >>/etc/old; mv /srv /moved; stat -c '%u %g %a' /moved/f; rm /moved/f; "
        "rmdir /moved; mkdir /moved; ls /moved; cat /etc/old; stat -c '%u %a' /"
    )

    done = sh(daemon, program, "--changes", changes)

    assert (done.stdout, done.stderr) == ("7 8 640\nold\nnew\n0 755\n", "")
    assert sh(daemon, "cat /etc/old /srv/f", "--changes", changes).stdout == "old\nf\n"


def test_what_is_on_a_disk_is_not_memory(daemon: Daemon) -> None:
    program = "head -c 67108864 /dev/zero >/f; stat -c %s /f"

    done = sh(daemon, program, "--changes", "disk", "--storage", "128M", "--memory", "32M")

    assert (done.returncode, done.stdout) == (0, f"{64 << 20}\n")


def test_inspect_says_where_changes_go(daemon: Daemon) -> None:
    disk = begin(daemon, "--image", "app:1", "--changes", "disk", "--storage", "16M")
    assert disk == {"kind": "overlay", "changes": "disk", "size": 16 << 20}
    daemon.kill()
    daemon.start()
    assert daemon.instance("one")["root"] == disk

    for options, expected in (
        (("--image", "app:1"), {"kind": "overlay", "changes": "memory", "size": None}),
        (("--image", "app:1", "--read-only"), {"kind": "overlay", "changes": "nowhere", "size": None}),
        (("--storage", "16M"), {"kind": "tmpfs", "changes": "memory", "size": 16 << 20}),
    ):
        daemon.run("rm", "-f", "one")
        assert begin(daemon, *options) == expected


def test_nothing_of_a_disk_is_left(daemon: Daemon) -> None:
    begin(daemon, "--image", "app:1", "--changes", "disk", "--storage", "16M")
    assert len(loops(daemon.directory)) == 1
    assert mounts(daemon.directory) == []
    uppers = daemon.state_dir / "uppers"
    assert [path.name for path in uppers.iterdir()] == [str(16 << 20)]

    daemon.kill()
    daemon.start()
    daemon.run("rm", "-f", "one")

    eventually(lambda: not loops(daemon.directory), "no loop device")
    assert [path.name for path in uppers.iterdir()] == [str(16 << 20)]


def test_a_disk_for_this_hosts_programs_is_an_error(daemon: Daemon) -> None:
    done = daemon.run("run", "--rm", "--changes", "disk", "--", "true")

    assert "need an image or a rootfs" in done.stderr


def test_a_directory_can_have_one_too(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tmp_path / "bin/busybox").chmod(0o755)
    program = "/bin/busybox mkdir /made && /bin/busybox ls /"

    done = daemon.run(
        "run",
        "--rm",
        "--rootfs",
        str(tmp_path),
        "--changes",
        "disk",
        "--",
        "/bin/busybox",
        "sh",
        "-c",
        program,
    )

    assert "made" in done.stdout.split()
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
