"""Copies of layers: what overlayfs itself shows of them, and nothing that leads elsewhere."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.errors import Conflict, HostError
from kwhost.core.images import tree_copy
from kwhost.core.images.accounts import Accounts
from kwhost.core.images.filling import fill_volume
from kwhost.core.images.image import Image
from kwhost.core.images.layer_writer import LayerBounds
from kwhost.core.images.root_work import copy_layers
from kwhost.core.images.tree_copy import TreeCopy
from kwhost.core.images.unpack import unpack
from kwhost.core.images.unpackers import Unpackers
from kwhost.core.model.ids import DEFAULT_UID_BASE
from kwhost.core.model.mounts import Mount, MountFlag, MountKind
from tests.unit.tar_parts import Archive

pytestmark = pytest.mark.root

Unpack = Callable[..., list[str]]


def ids() -> Any:
    return lease_ids(DEFAULT_UID_BASE)


@pytest.fixture
def layers(tmp_path: Path) -> Unpack:
    def layers(*archives: Archive) -> list[str]:
        """The directories of layers that are given from the lowest up, the uppermost first."""
        made = []
        for number, archive in enumerate(archives):
            directory = tmp_path / f"layer{number}"
            directory.mkdir()
            (tmp_path / "archive").write_bytes(archive.data)
            with (tmp_path / "archive").open("rb") as file, Unpackers(ids) as unpackers:
                unpack(file.fileno(), directory, LayerBounds(), unpackers)
            made.append(str(directory))
        return made[::-1]

    return layers


def shown(root: Path) -> dict[str, Any]:
    """All that can be seen of a tree; of a file with several names, the first of them."""
    found: dict[str, Any] = {}
    names: dict[int, str] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        name, status = str(path.relative_to(root)), path.lstat()
        is_link = stat.S_ISLNK(status.st_mode)
        content: Any = path.readlink() if is_link else None
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes(), names.setdefault(status.st_ino, name)
        keys = [] if is_link else [key for key in os.listxattr(path) if not key.startswith("trusted.")]
        attributes = {key: os.getxattr(path, key) for key in keys}
        found[name] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, content, attributes)
    return found


BASE = (
    Archive()
    .directory("etc", uid=1, gid=2, mode=0o2751)
    .add("etc/one", b"one", uid=7, gid=8, mode=0o640, pax_headers={"SCHILY.xattr.user.kept": "yes"})
    .hard_link("etc/again", "etc/one")
    .add("etc/gone", b"gone")
    .directory("full", pax_headers={"SCHILY.xattr.user.of": "a directory"})
    .add("full/old", b"old")
    .directory("full/inner")
    .add("full/inner/older", b"older")
    .add("file", b"file")
    .link("link", "/etc/passwd")
    .link("dangling", "../../nowhere")
    .add("n\udcff", b"no text")
    .add("empty", b"", mode=0o444)
)


@pytest.mark.parametrize(
    "top",
    [
        [],
        [Archive().add("etc/.wh.gone").add("full/.wh..wh..opq").add("full/new", b"new")],
        [Archive().add("etc/one", b"changed").link("file", "etc").directory("link").add("link/f", b"f")],
        [Archive().add(".wh.full"), Archive().directory("full").add("full/.wh..wh..opq").add("full/f", b"x")],
        [Archive().add(".wh.full"), Archive().add("full", b"a file"), Archive().directory("full")],
        [Archive().add("full/inner/above", b"a").add("full/inner/.wh..wh..opq")],
    ],
)
def test_a_copy_is_what_an_overlay_shows(top: list[Archive], layers: Unpack, tmp_path: Path) -> None:
    found = layers(Archive().directory("below").add("below/f", b"f"), BASE, *top)
    overlay, copy = tmp_path / "overlay", tmp_path / "copy"
    for directory in (overlay, copy):
        directory.mkdir()
    options = f"lowerdir={':'.join(found)},userxattr"
    subprocess.run(["mount", "-t", "overlay", "none", "-o", options, overlay], check=True)
    try:
        copied = copy_layers(found, copy, ids)

        expected = shown(overlay)
        assert shown(copy) == expected
        assert (copied.left_out, copied.reflinked) == (0, False)
    finally:
        subprocess.run(["umount", overlay], check=True)


def test_holes_stay_holes(layers: Unpack, tmp_path: Path) -> None:
    sparse = {"GNU.sparse.size": str(1 << 30), "GNU.sparse.map": f"{1 << 20},6"}
    found = layers(Archive().add("file", b"middle", pax_headers=sparse))
    (tmp_path / "copy").mkdir()

    copy_layers(found, tmp_path / "copy", ids)

    status = (tmp_path / "copy/file").stat()
    assert status.st_size == 1 << 30
    assert status.st_blocks * 512 < 1 << 20


def test_devices_and_sockets_are_left_out_and_pipes_are_not(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "socket", stat.S_IFSOCK | 0o666)
    os.mkfifo(root / "pipe", 0o640)
    (root / "program").touch()
    (root / "program").chmod(0o4755)

    copied = copy_layers([str(root)], tmp_path / "copy", ids)

    assert copied.left_out == 2
    modes = {path.name: oct(path.stat().st_mode) for path in (tmp_path / "copy").iterdir()}
    assert modes == {"pipe": "0o10640", "program": "0o100755"}


@pytest.mark.parametrize("moment", ["stat", "open"])
def test_whoever_changes_the_tree_meanwhile_leads_nothing_out_of_it(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, host, copy = (tmp_path / name for name in ("root", "host", "copy"))
    for directory in (root, host, copy, root / "inner"):
        directory.mkdir()
    (root / "inner/secret").write_text("own")
    (host / "secret").write_text("the host's")
    genuine = getattr(os, moment)

    def change(path: Any, *arguments: Any, **options: Any) -> Any:
        """As a directory is looked at, a link to one of the host's takes its place."""
        result = genuine(path, *arguments, **options)
        if path == "inner" and not (root / "inner").is_symlink():
            (root / "inner").rename(tmp_path / "moved")
            (root / "inner").symlink_to(host)
        return result

    monkeypatch.setattr(os, moment, change)
    source, target = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (root, copy))

    TreeCopy(target).fill([source])

    os.close(source)
    os.close(target)
    found = [path.read_text() for path in copy.rglob("*") if path.is_file()]
    assert found == (["own"] if moment == "open" else [])


def test_directories_deep_in_each_other_are_copied_as_far_as_layers_go(
    layers: Unpack, tmp_path: Path
) -> None:
    archive = Archive()
    for depth in range(1, 256):
        archive.directory("/".join(["d"] * depth))
    (tmp_path / "copy").mkdir()

    copy_layers(layers(archive), tmp_path / "copy", ids)

    assert (tmp_path / "copy" / "/".join(["d"] * 255)).is_dir()


def test_what_lies_deeper_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "root" / "/".join(["d"] * 300)).mkdir(parents=True)

    with pytest.raises(OSError, match="more than 256 directories in each other"):
        copy_layers([str(tmp_path / "root")], tmp_path / "copy", ids)


# Copying them takes several times as long as it takes until somebody looks.
_MANY = 30_000


def test_a_copy_that_nobody_wants_any_more_ends(tmp_path: Path) -> None:
    root, copy = tmp_path / "root", tmp_path / "copy"
    root.mkdir()
    copy.mkdir()
    for number in range(_MANY):
        os.mknod(root / f"{number}")

    def unwanted() -> None:
        raise Conflict("stopped")

    with pytest.raises(Conflict, match="stopped"):
        copy_layers([str(root)], copy, ids, unwanted)

    assert len(os.listdir(copy)) < _MANY


def test_a_layer_is_not_looked_for_behind_links(layers: Unpack, tmp_path: Path) -> None:
    (layer,) = layers(Archive().add("f", b"f"))
    (tmp_path / "target").mkdir()
    (tmp_path / "way").symlink_to(tmp_path)

    with pytest.raises(OSError, match="symbolic links"):
        copy_layers([str(tmp_path / "way" / Path(layer).name)], tmp_path / "target", ids)


def test_what_is_mounted_within_a_layer_is_not_copied(layers: Unpack, tmp_path: Path) -> None:
    (layer,) = layers(Archive().directory("place", mode=0o750).add("place/beneath", b"f"))
    (tmp_path / "target").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", Path(layer) / "place"], check=True)
    try:
        (Path(layer) / "place/mounted").touch()
        copy_layers([layer], tmp_path / "target", ids)
    finally:
        subprocess.run(["umount", Path(layer) / "place"], check=True)

    assert os.listdir(tmp_path / "target/place") == ["beneath"]


def test_who_was_started_by_somebody_who_is_gone_copies_nothing(layers: Unpack, tmp_path: Path) -> None:
    """Killed before its process could ask to end with it: nobody would look whether there is room."""
    (tmp_path / "target").mkdir()
    wish = {
        "action": "copy",
        "target": str(tmp_path / "target"),
        "layers": layers(Archive().add("f", b"f")),
        "owners": True,
        "namespace": False,
        "parent": os.getppid(),
    }
    command = [sys.executable, "-m", "kwhost.core.images.root_process", "0", json.dumps(wish)]

    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)

    assert (done.returncode, done.stdout, os.listdir(tmp_path / "target")) == (1, b"", [])


def test_a_copy_counts_in_blocks_and_takes_no_more_than_it_may(layers: Unpack, tmp_path: Path) -> None:
    made = layers(Archive().directory("d").add("d/one", b"1").add("d/two", b"2").add("many", bytes(10_000)))
    for name in ("whole", "bounded"):
        (tmp_path / name).mkdir()

    assert copy_layers(made, tmp_path / "whole", ids, most=24 << 10).size == 24 << 10
    with pytest.raises(OSError, match="quota"):
        copy_layers(made, tmp_path / "bounded", ids, most=20 << 10)


def test_files_with_more_names_than_are_remembered_do_not_pass_the_bound(
    layers: Unpack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_copy, "_REMEMBERED_MAX", 0)
    archive = Archive().add("0", bytes(1 << 20))
    for number in range(1, 10):
        archive = archive.hard_link(f"{number}", "0")
    (tmp_path / "target").mkdir()
    source, target = (os.open(path, os.O_RDONLY) for path in (layers(archive)[0], tmp_path / "target"))
    try:
        with pytest.raises(OSError, match="quota"):
            TreeCopy(target, most=4 << 20).fill([source])
    finally:
        os.close(source)
        os.close(target)

    assert len(os.listdir(tmp_path / "target")) <= 4


def test_few_directories_are_open_at_once_where_others_need_descriptors(
    layers: Unpack, tmp_path: Path
) -> None:
    deep = "/".join("d" * 100)
    made = layers(*(Archive().directory(f"data/{deep}") for _ in range(6)))
    (tmp_path / "files").mkdir()
    root = Mount(MountKind.OVERLAY, "/", ":".join(made), MountFlag.NO_LINKS)

    with pytest.raises(HostError, match="too many layers have directories too deep in each other"):
        fill_volume(tmp_path / "files", Image((root,), Accounts(), digest="sha256:0"), "/data")


def test_a_pipe_is_as_it_was_whatever_the_umask(tmp_path: Path) -> None:
    for name in ("layer", "copy"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "layer/pipe")
    os.chmod(tmp_path / "layer/pipe", 0o666)
    os.utime(tmp_path / "layer/pipe", (7, 7))
    source, target = (os.open(tmp_path / name, os.O_RDONLY) for name in ("layer", "copy"))
    try:
        TreeCopy(target).fill([source])
    finally:
        os.close(source)
        os.close(target)

    status = (tmp_path / "copy/pipe").stat()
    assert (stat.filemode(status.st_mode), status.st_mtime) == ("prw-rw-rw-", 7)
