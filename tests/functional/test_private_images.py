"""Tenants with private_images: what their instances read of images is in pages that nobody else has."""

import ctypes
import json
import mmap
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.functional.hosting import Daemon, StartDaemon, eventually
from tests.functional.image_parts import busybox_layer, docker_archive
from tests.unit.tar_parts import Archive

pytestmark = [pytest.mark.kvm, pytest.mark.root]

SECRET = bytes(1 << 20)
IMAGE = busybox_layer("touch").add("data", SECRET, uid=7, mode=0o640).add("gone", b"gone").data
TOP = Archive().add(".wh.gone").add("new", b"new\n").data
CONFIGURATION = """
[tenants.acme]
private_images = true
binds = ["{binds}"]
[tenants.small]
private_images = true
storage = "40M"
[tenants.other]
"""


@pytest.fixture
def daemon(kwhostd: StartDaemon, tmp_path: Path) -> Daemon:
    daemon = kwhostd(CONFIGURATION.format(binds=tmp_path))
    load(daemon, [IMAGE, TOP])
    return daemon


def load(daemon: Daemon, layers: list[bytes]) -> None:
    file = daemon.directory / "archive.tar"
    file.write_bytes(docker_archive(layers, "app:1"))
    done = daemon.run("image", "load", str(file))
    assert done.returncode == 0, done.stderr


def begin(daemon: Daemon, tenant: str, name: str = "one", *options: str) -> Any:
    command = ("run", "-d", "--tenant", tenant, "--name", name, "--image", "app:1", *options)
    return daemon.run(*command, "--", "sleep", "1000")


def copies(daemon: Daemon) -> list[Path]:
    return sorted((daemon.state_dir / "private").glob("*/*/files"))


def shared(daemon: Daemon) -> Path:
    (found,) = (daemon.state_dir / "images/layers").glob("*/data")
    return found


def private(daemon: Daemon) -> Path:
    (found,) = (path / "data" for path in copies(daemon))
    return found


def is_cached(file: Path) -> bool:
    """Whether any page of the file is in the host's memory."""
    with file.open("rb") as opened:
        pages = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_WRITE, flags=mmap.MAP_PRIVATE)
    place = ctypes.c_char.from_buffer(pages)
    there = (ctypes.c_ubyte * (len(pages) // mmap.PAGESIZE))()
    libc = ctypes.CDLL(None, use_errno=True)
    asked = libc.mincore(ctypes.c_void_p(ctypes.addressof(place)), ctypes.c_size_t(len(pages)), there)
    assert asked == 0, os.strerror(ctypes.get_errno())
    del place
    pages.close()
    return any(page & 1 for page in there)


def forget(*files: Path) -> None:
    """Have them out of the host's memory."""

    def is_forgotten(file: Path) -> bool:
        fd = os.open(file, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)
        return not is_cached(file)

    for file in files:
        eventually(partial(is_forgotten, file), f"{file} out of memory")


def test_what_one_reads_is_in_nobody_elses_memory(daemon: Daemon) -> None:
    for tenant in ("acme", "other"):
        assert begin(daemon, tenant).returncode == 0
    assert private(daemon).stat().st_ino != shared(daemon).stat().st_ino

    for reader, read, kept in (
        ("acme/one", private(daemon), shared(daemon)),
        ("other/one", shared(daemon), private(daemon)),
    ):
        forget(read, kept)
        assert daemon.run("exec", reader, "--", "sh", "-c", "cat /data >/dev/null").returncode == 0
        assert (is_cached(read), is_cached(kept)) == (True, False)


def test_a_private_image_is_as_the_image_and_there_once(daemon: Daemon) -> None:
    for name, options in (("one", ()), ("two", ("--changes", "disk", "--storage", "32M"))):
        assert begin(daemon, "acme", name, *options).returncode == 0
    program = "ls / | grep -c gone; cat /new; touch /data /made"

    shown = daemon.run("exec", "acme/one", "--", "sh", "-c", program.replace("grep -c gone", "cat >/l"))

    assert (shown.stdout, shown.stderr) == ("new\n", "")
    assert daemon.run("exec", "acme/two", "--", "sh", "-c", program).stdout == "0\nnew\n"
    assert len(copies(daemon)) == 1
    assert not (copies(daemon)[0] / "gone").exists()
    assert not (copies(daemon)[0] / "made").exists()
    status = private(daemon).stat()
    assert (status.st_uid, status.st_mode & 0o777) == (7, 0o640)
    assert daemon.instance("acme/one")["root"]["kind"] == "overlay"
    (inspected,) = json.loads(daemon.run("image", "inspect", "app:1").stdout)
    assert inspected["private"] == ["acme"]


def test_it_goes_with_the_last_instance(daemon: Daemon) -> None:
    for name in ("one", "two"):
        begin(daemon, "acme", name)
    (copy,) = copies(daemon)

    daemon.run("rm", "-f", "acme/one")
    assert copies(daemon) == [copy]
    daemon.kill()
    left = daemon.state_dir / "private/.new-left/files"
    left.mkdir(parents=True)
    daemon.start()
    assert copies(daemon) == [copy]
    assert daemon.run("exec", "acme/two", "--", "cat", "/new").stdout == "new\n"
    daemon.run("rm", "-f", "acme/two")

    assert copies(daemon) == []
    assert os.listdir(daemon.state_dir / "private") == []


def test_one_of_another_image_goes_when_the_name_has_moved(daemon: Daemon) -> None:
    begin(daemon, "acme")
    (old,) = copies(daemon)
    load(daemon, [IMAGE])
    daemon.run("rm", "-f", "acme/one")
    begin(daemon, "acme")

    (new,) = copies(daemon)
    assert new != old
    assert (new / "gone").exists()


def test_it_counts_for_the_tenants_storage(daemon: Daemon) -> None:
    assert begin(daemon, "small", "one", "--storage", "30M").returncode == 0
    size = int((copies(daemon)[0].parent / "size").read_text())
    shown = json.loads(daemon.run("tenant", "show", "small", "--json").stdout)

    refused = begin(daemon, "small", "two", "--storage", "10M")

    assert size > len(SECRET)
    assert shown["used"]["storage"] == (30 << 20) + size
    assert "tenant small has" in refused.stderr
    daemon.run("rm", "-f", "small/one")
    full = begin(daemon, "small", "one", "--storage", "40M")
    assert "its private copy of the image asks for" in full.stderr
    assert copies(daemon) == []


def test_what_all_share_is_refused(daemon: Daemon, tmp_path: Path, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    host = daemon.run("run", "--rm", "--tenant", "acme", "--", "true")
    root = daemon.run("run", "--rm", "--tenant", "acme", "--rootfs", str(elsewhere), "--", "true")

    assert "tenant acme has private_images: the image host is this host's own files" in host.stderr
    assert f"may bind beneath {tmp_path} only" in root.stderr
