"""Roots of an ordinary user's instances where the kernel makes no overlay: copies, too."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.hosting import Daemon, eventually
from tests.functional.image_parts import docker_archive
from tests.functional.test_root_copies import IMAGE, stacked_overlays

pytestmark = [pytest.mark.kvm, pytest.mark.root]

# In a user namespace that gives no rights outside.
HOLD = ("unshare", "-U", "--map-user=1000", "--map-group=1000", "sh", "-c", "echo; exec sleep infinity")
SHOWS = "ls /etc; cat /etc/old; stat -c %a /srv/f; echo x >/srv/f; cat /srv/f; id -u"
SHOWN = "gone\nold\nold\n640\nx\n0\n"


class OrdinaryDaemon(Daemon):
    """Of the user's, who is in the user namespace of a process; so is each command."""

    def __init__(self, configuration: str, user: int) -> None:
        super().__init__(configuration)
        self._user = str(user)

    def command(self, *arguments: str) -> list[str]:
        enter = ("nsenter", "-t", self._user, "-U", "--preserve-credentials")
        return [*enter, *super().command(*arguments)]


@pytest.fixture
def user(tmp_path: Path) -> Iterator[Daemon]:
    """The user's commands, with an image, and no daemon yet."""
    (tmp_path / "empty").mkdir()
    with (
        stacked_overlays(tmp_path / "empty", tmp_path) as place,
        subprocess.Popen(HOLD, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as holder,
    ):
        assert holder.stdout
        holder.stdout.readline()
        daemon = OrdinaryDaemon('[tenants.acme]\nstorage = "1G"\n', holder.pid)
        daemon.state_dir = place / "state"
        daemon.environment["KWHOST_STATE_DIR"] = str(daemon.state_dir)
        daemon.environment["KWHOST_HOST"] = ""
        file = daemon.directory / "archive.tar"
        file.write_bytes(docker_archive([IMAGE], "app:1"))
        try:
            done = daemon.run("image", "load", str(file))
            assert done.returncode == 0, done.stderr
            yield daemon
        finally:
            daemon.close()
            holder.kill()


def roots(daemon: Daemon) -> list[str]:
    return sorted(os.listdir(daemon.state_dir / "roots"))


@pytest.mark.parametrize("engine", ["direct", "process"])
def test_a_run_without_a_daemon_has_a_copy_and_says_so(engine: str, user: Daemon) -> None:
    options = ("--engine", engine, *(("--isolation", "process") if engine == "process" else ()))

    done = user.run("run", "--image", "app:1", *options, "--", "sh", "-c", SHOWS)

    assert done.stdout == SHOWN
    assert "its root is a copy: no overlay can be had: Invalid argument" in done.stderr
    assert roots(user) == []


def test_what_a_killed_run_left_goes_with_the_next(user: Daemon) -> None:
    command = user.command("run", "--image", "app:1", "--", "sh", "-c", "echo here; exec sleep 1000")
    with subprocess.Popen(
        command, env=user.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "here\n"
        running = roots(user)
        assert user.run("run", "--image", "app:1", "--", "true").returncode == 0
        assert roots(user) == running  # it is another's
        killed.send_signal(signal.SIGKILL)
    assert roots(user) == running

    user.run("run", "--image", "app:1", "--", "true")

    assert roots(user) == []


def test_a_hosted_instance_has_one_and_none_that_its_bound_cannot_hold(user: Daemon) -> None:
    user.environment["KWHOST_HOST"] = str(user.socket)
    user.start()
    done = user.run("run", "-d", "--name", "one", "--image", "app:1", "--", "sleep", "1000")
    assert done.returncode == 0, done.stderr

    shown = user.run("exec", "one", "--", "sh", "-c", SHOWS)
    inspected = user.run("inspect", "one").stdout
    bound = user.run("run", "--tenant", "acme", "--storage", "16M", "--image", "app:1", "--", "true")
    user.run("rm", "-f", "one")

    assert shown.stdout == SHOWN
    assert '"kind": "copy"' in inspected
    assert "its root has to be a copy (no overlay can be had: Invalid argument): only root's" in bound.stderr
    eventually(lambda: roots(user) == [], "that no copy is left")


def test_a_root_with_something_mounted_in_it_is_an_error(user: Daemon, tmp_path: Path) -> None:
    """The kernel shows no ordinary user what is beneath, and what is mounted there an overlay never has."""
    root = tmp_path / "root"
    (root / "place").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", root / "place"], check=True)
    try:
        done = user.run("run", "--rootfs", str(root), "--", "true")
    finally:
        subprocess.run(["umount", root / "place"], check=True)

    assert f"an ordinary user cannot have {root} without what is mounted within it" in done.stderr
    assert roots(user) == []


_COPIES = """
import os, sys
from pathlib import Path
from kwhost.core.engines.id_ranges import IdLease
from kwhost.core.model.ids import IdRange
from kwhost.core.storage.root_copies import RootCopies
ids = IdLease(IdRange(uid_base=100000, gid_base=100000, size=10))
copies = RootCopies(Path(sys.argv[1]), lambda: ids)
files, _ = copies.make("one", [sys.argv[1] + "/layer"], lambda: None)
print((files / "inner/f").lstat().st_uid, flush=True)
copies.remove("one")
print(os.listdir(files.parent.parent))
"""
# The user has subordinate ids here.
_AS_USER = """
cd "$1"
echo user:x:1234:1234::/:/bin/sh >passwd
echo 1234:100000:65536 >ids
mount --bind passwd /etc/passwd
mount --bind ids /etc/subuid
mount --bind ids /etc/subgid
exec setpriv --reuid 1234 --regid 1234 --clear-groups "$2" -c "$3" "$1"
"""


def test_files_that_belong_to_other_ids_of_the_users_are_copied_and_removed(project: Path) -> None:
    if not shutil.which("newuidmap"):
        pytest.skip("needs newuidmap; install uidmap")
    if not all(path.stat().st_mode & 1 for path in Path(sys.executable).resolve().parents):
        pytest.skip("the tests' Python is where no ordinary user gets to")
    directory = Path(tempfile.mkdtemp(prefix="kwhost-"))
    (directory / "layer/inner").mkdir(parents=True)
    (directory / "layer/inner/f").write_text("x")
    for name, owner in ((".", 1234), ("layer", 1234), ("layer/inner", 100004), ("layer/inner/f", 100006)):
        os.chown(directory / name, owner, owner)
    try:
        done = subprocess.run(
            ["unshare", "-m", "sh", "-ec", _AS_USER, "sh", directory, sys.executable, _COPIES],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
            env={"PYTHONPATH": str(project), "PATH": os.environ["PATH"]},
        )
    finally:
        shutil.rmtree(directory)

    assert (done.stderr, done.stdout) == ("", "100006\n[]\n")
