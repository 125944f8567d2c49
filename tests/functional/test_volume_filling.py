"""What a new volume begins with: what overlayfs would show there, and nothing that leads elsewhere."""

import os
import stat
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.errors import HostError
from kwhost.core.images.accounts import Accounts
from kwhost.core.images.filling import fill_volume
from kwhost.core.images.image import Image
from kwhost.core.images.service import Images, stored_image
from kwhost.core.images.store import OPERATOR
from kwhost.core.model.ids import DEFAULT_UID_BASE
from kwhost.core.model.mounts import Mount, MountKind
from tests.functional.image_parts import docker_archive
from tests.unit.tar_parts import Archive

pytestmark = pytest.mark.root

BASE = (
    Archive()
    .directory("data", uid=7, gid=8, mode=0o750)
    .add("data/kept", b"kept", uid=9, mode=0o640)
    .add("data/changed", b"old")
    .add("data/gone", b"gone")
    .directory("data/inner", uid=1)
    .add("data/inner/below", b"below")
    .link("data/link", "/etc/passwd")
)


@pytest.fixture
def fill(tmp_path: Path) -> Any:
    def fill(*layers: Archive, target: str = "/data", files: Path = tmp_path / "files") -> dict[str, Any]:
        """What is in a volume then."""
        files.mkdir(exist_ok=True)
        images = Images(tmp_path / "state", lambda: lease_ids(DEFAULT_UID_BASE))
        with images.spooling() as (file, write):
            write(docker_archive([layer.data for layer in layers], "a:1"))
            os.lseek(file, 0, os.SEEK_SET)
            images.load(OPERATOR, file, None)
        image = stored_image(tmp_path / "state", OPERATOR, "a:1")
        fill_volume(files, image, target)
        image.close()
        return {str(path.relative_to(files)): _shown(path) for path in sorted(files.rglob("*"))}

    return fill


def _shown(path: Path) -> Any:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return None if path.is_dir() else path.read_text()


def test_it_has_the_images_files_with_their_owners(fill: Any, tmp_path: Path) -> None:
    found = fill(BASE)

    assert found == {
        "changed": "old", "gone": "gone", "inner": None, "inner/below": "below", "kept": "kept",
        "link": "-> /etc/passwd",
    }  # fmt: skip
    owners = [(tmp_path / "files" / name).lstat() for name in ("", "kept", "inner")]
    assert [(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) for status in owners] == [
        (7, 8, 0o750), (9, 0, 0o640), (1, 0, 0o755),
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["/way/inner", "/far/../way/./inner", "/last", "/out/last"])
def test_links_of_the_image_lead_to_its_place(target: str, fill: Any) -> None:
    links = Archive().link("way", "/data").link("far", "data/inner/..").link("last", "far/inner")
    out = Archive().link("out", "../../..")

    assert fill(BASE, links, out, target=target) == {"below": "below"}


@pytest.mark.parametrize("target", ["/round/inner", "/gone/inner", "/data/kept/inner", "/data/link"])
def test_links_that_lead_nowhere_leave_it_empty(target: str, fill: Any) -> None:
    assert fill(BASE, Archive().link("round", "round").link("gone", "/none"), target=target) == {}


def test_upper_layers_change_and_hide(fill: Any) -> None:
    top = Archive().add("data/changed", b"new").add("data/.wh.gone").add("data/inner/.wh..wh..opq")
    top.add("data/inner/above", b"above").link("data/kept", "changed").directory("data/link")

    assert fill(BASE, top) == {
        "changed": "new", "inner": None, "inner/above": "above", "kept": "-> changed", "link": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "top",
    [
        Archive().add(".wh.data"),
        Archive().add("data", b"a file"),
        Archive().link("data", "/etc"),
    ],
)
def test_what_an_upper_layer_takes_away_is_gone(top: Archive, fill: Any) -> None:
    assert fill(BASE, top) == {}


def test_what_hides_a_directory_on_the_way_hides_what_is_in_it(fill: Any) -> None:
    base = Archive().directory("srv").directory("srv/data").add("srv/data/old", b"old")
    top = Archive().directory("srv").add("srv/.wh..wh..opq")

    assert fill(base, top, target="/srv/data") == {}


def test_links_on_the_way_lead_to_nothing_of_the_host(fill: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/f").touch()
    secret = f"{tmp_path}/secret"

    assert fill(Archive().link("data", secret)) == {}
    assert fill(Archive().link("data", "../" * 30 + secret)) == {}
    assert fill(Archive().directory("etc").link("etc/data", secret), target="/etc/data") == {}


def test_very_many_names_are_not_remembered(tmp_path: Path) -> None:
    data, files = tmp_path / "layer/data", tmp_path / "files"
    data.mkdir(parents=True)
    files.mkdir()
    for number in range(20_000):
        os.mknod(data / f"{number:0200}", stat.S_IFCHR)  # what an upper layer takes away
    (data / "f").write_text("f")
    image = Image((Mount(MountKind.OVERLAY, "/", str(tmp_path / "layer")),), Accounts(), digest="sha256:0")

    tracemalloc.start()
    fill_volume(files, image, "/data")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert os.listdir(files) == ["f"]
    assert peak < 1_000_000


def test_names_of_one_file_stay_one_file(fill: Any, tmp_path: Path) -> None:
    layer = Archive().directory("data").directory("data/inner").add("data/inner/one", b"both")
    layer.hard_link("data/two", "data/inner/one").add("elsewhere", b"x")
    layer.hard_link("data/outside", "elsewhere")

    assert fill(layer) == {"inner": None, "inner/one": "both", "outside": "x", "two": "both"}

    one, two = tmp_path / "files/inner/one", tmp_path / "files/two"
    assert one.samefile(two)
    assert (one.stat().st_nlink, (tmp_path / "files/outside").stat().st_nlink) == (2, 1)


def test_attributes_of_users_are_kept(fill: Any, tmp_path: Path) -> None:
    kind = {"SCHILY.xattr.user.kind": "kept", "SCHILY.xattr.security.capability": "left out"}

    fill(Archive().directory("data", pax_headers=kind).add("data/file", pax_headers=kind))

    for path in (tmp_path / "files", tmp_path / "files/file"):
        assert os.listxattr(path) == ["user.kind"]
        assert os.getxattr(path, "user.kind") == b"kept"


def test_holes_stay_holes(fill: Any, tmp_path: Path) -> None:
    sparse = {"GNU.sparse.size": str(1 << 30), "GNU.sparse.map": f"{1 << 20},6"}

    fill(Archive().directory("data").add("data/file", b"middle", pax_headers=sparse))

    with (tmp_path / "files/file").open("rb") as file:
        file.seek(1 << 20)
        assert file.read(7) == b"middle\0"
        assert os.fstat(file.fileno()).st_size == 1 << 30
        assert os.fstat(file.fileno()).st_blocks * 512 < 1 << 20


def test_whoever_changes_the_volume_meanwhile_leads_nothing_out_of_it(
    fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    layer = Archive().directory("data").directory("data/inner").add("data/inner/file", b"hostile")
    mkdir = os.mkdir

    def mkdir_and_exchange(path: Any, *arguments: Any, **options: Any) -> None:
        mkdir(path, *arguments, **options)
        made = tmp_path / "files/inner"
        if made.is_dir():
            made.rename(tmp_path / "files/moved")
            made.symlink_to(host)

    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", mkdir_and_exchange)
        with pytest.raises(HostError, match="cannot copy what the image has at /data into the volume"):
            fill(layer)
    assert list(host.iterdir()) == []
