"""Hostile layers, unpacked in the jail: nothing gets out of it, and what is left is what the layer means."""

import gzip
import hashlib
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from kwhost.core.errors import ImageError
from kwhost.core.images.layer_writer import LayerBounds
from tests.functional.image_layers import Layers
from tests.unit.tar_parts import Archive

pytestmark = pytest.mark.root


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path)


def is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def test_owners_modes_and_times_are_the_archives(layers: Layers) -> None:
    layers.unpack(
        Archive()
        .directory("d", mode=0o2750, uid=1000, gid=50, mtime=1000)
        .add("d/f", b"x", mode=0o640, uid=65_534, gid=7, mtime=2000)
        .link("d/l", "f")
    )

    directory, file = layers.stat("d"), layers.stat("d/f")
    assert (stat.S_IMODE(directory.st_mode), directory.st_uid, directory.st_gid) == (0o2750, 1000, 50)
    assert directory.st_mtime == 1000
    assert (stat.S_IMODE(file.st_mode), file.st_uid, file.st_gid, file.st_mtime) == (0o640, 65_534, 7, 2000)
    assert (layers.root / "d/l").readlink() == Path("f")


def test_a_directory_does_not_hand_its_group_down(layers: Layers) -> None:
    late = Archive().add("e/f", b"x").directory("e", mode=0o2775, gid=50)
    layers.unpack(late.add("e/g", b"x").directory("d", mode=0o2775, gid=50).add("d/f", b"x"))

    assert [layers.stat(name).st_gid for name in ("d", "d/f", "e", "e/g")] == [50, 0, 50, 0]


def test_a_name_means_the_same_however_it_is_written(layers: Layers) -> None:
    archive = Archive(tarfile.GNU_FORMAT).directory("d/")
    for name in ("d/a", "./d/b", "d/./c", "d/./e", "d//f", "d/.g", "/d/h", "d/i"):
        archive.add(name, b"x")
    layers.unpack(archive.directory("d/.").add("d/j", b"x").add("k", b"x"))

    assert sorted(os.listdir(layers.root)) == ["d", "k"]
    assert sorted(os.listdir(layers.root / "d")) == [".g", *"abcefhij"]


@pytest.mark.parametrize(("directory", "name"), [(".", ""), ("d", "d/"), ("d", "link/")])
def test_a_directory_that_gets_a_group_in_the_middle_does_not_hand_it_down(
    directory: str, name: str, layers: Layers
) -> None:
    archive = Archive().directory("d").link("link", "d").add(f"{name}before", b"x")
    layers.unpack(archive.directory(directory, mode=0o2775, gid=50).add(f"{name}after", b"x"))

    found = (directory, f"{name}before", f"{name}after")
    assert [layers.stat(each).st_gid for each in found] == [50, 0, 0]


@pytest.mark.parametrize("mode", [0o666, 0o1777, 0o000])
def test_modes_are_the_archives_whatever_this_process_masks(mode: int, layers: Layers) -> None:
    before = os.umask(0o077)
    try:
        layers.unpack(Archive().directory("d", mode=mode).add("d/f", b"x", mode=mode))
    finally:
        os.umask(before)

    assert [stat.S_IMODE(layers.stat(name).st_mode) for name in ("d", "d/f")] == [mode, mode]


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/../secret", "d/.."])
def test_names_that_lead_up_are_refused(name: str, layers: Layers) -> None:
    assert "'..'" in layers.refuse(Archive().add(name, b"changed"))
    assert layers.secret.read_text() == "secret"


def test_an_absolute_name_lies_in_the_layer(layers: Layers) -> None:
    layers.unpack(Archive().add(f"{layers.secret}", b"inside"))

    assert layers.secret.read_text() == "secret"
    assert (layers.root / str(layers.secret)[1:]).read_bytes() == b"inside"


@pytest.mark.parametrize("up", ["..", "../..", "/", "/proc/self/root", "/proc/1/root"])
def test_links_lead_nowhere_but_into_the_layer(up: str, layers: Layers) -> None:
    archive = Archive().link("out", up).add("out/secret", b"changed")
    try:
        layers.unpack(archive)
    except ImageError:
        pass  # there is no /proc there
    else:
        assert (layers.root / "secret").read_bytes() == b"changed"
    assert layers.secret.read_text() == "secret"


def test_an_absolute_link_to_the_hosts_files_leads_into_the_layer(layers: Layers) -> None:
    archive = Archive().link("l", str(layers.directory)).add("l/secret", b"changed")

    assert "cannot unpack" in layers.refuse(archive)
    assert layers.secret.read_text() == "secret"


def test_a_file_takes_the_place_of_a_link_and_does_not_go_through_it(layers: Layers) -> None:
    layers.unpack(Archive().add("target", b"old").link("l", "target").add("l", b"new"))

    assert not (layers.root / "l").is_symlink()
    assert (layers.root / "target").read_bytes() == b"old"


def test_a_dangling_link_is_kept_and_nothing_made_behind_it(layers: Layers) -> None:
    layers.unpack(Archive().link("l", "/nowhere/at/all"))
    assert (layers.root / "l").is_symlink()

    assert "cannot unpack" in layers.refuse(Archive().link("m", "/nowhere").add("m/f", b"x"))


def test_links_in_a_circle_are_refused(layers: Layers) -> None:
    assert "cannot unpack" in layers.refuse(Archive().link("a", "b").link("b", "a").add("a/f", b"x"))


@pytest.mark.parametrize("target", ["etc/passwd", "/etc/shadow", "missing", "d"])
def test_hard_links_to_what_is_not_a_file_of_the_layer_are_refused(target: str, layers: Layers) -> None:
    assert "hard link" in layers.refuse(Archive().directory("d").hard_link("h", target))


def test_a_hard_link_that_leads_up_is_refused(layers: Layers) -> None:
    assert "'..'" in layers.refuse(Archive().hard_link("h", "../secret"))
    assert layers.secret.stat().st_nlink == 1


def test_a_hard_link_through_a_link_stays_in_the_layer(layers: Layers) -> None:
    assert "hard link" in layers.refuse(Archive().link("l", str(layers.directory)).hard_link("h", "l/secret"))
    assert layers.secret.stat().st_nlink == 1


def test_hard_links_within_the_layer_are_one_file(layers: Layers) -> None:
    layers.unpack(Archive().add("a", b"x").hard_link("b", "a").hard_link("b", "b"))

    assert layers.stat("a").st_ino == layers.stat("b").st_ino


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE])
@pytest.mark.parametrize("number", [(0, 0), (1, 3), (8, 0)])
def test_devices_are_left_out(kind: bytes, number: tuple[int, int], layers: Layers) -> None:
    """Also 0/0, which would take a file of a lower layer away without being a whiteout."""
    result = layers.unpack(Archive().add("dev/x", kind=kind, devmajor=number[0], devminor=number[1]))

    assert result.left_out == 1
    assert not list(layers.root.rglob("x"))


def test_pipes_are_made(layers: Layers) -> None:
    layers.unpack(Archive().add("p", kind=tarfile.FIFOTYPE, mode=0o620, uid=3))

    assert stat.S_ISFIFO(layers.stat("p").st_mode)
    assert layers.stat("p").st_uid == 3


def test_a_whiteout_is_what_overlayfs_takes_for_one(layers: Layers) -> None:
    layers.unpack(Archive().add("d/.wh.gone"))

    assert is_whiteout(layers.stat("d/gone"))
    assert not (layers.root / "d/.wh.gone").exists()


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh..."])
def test_whiteouts_of_no_name_are_refused(name: str, layers: Layers) -> None:
    assert "no name" in layers.refuse(Archive().directory("d").add(f"d/{name}"))


def test_a_whiteout_does_not_touch_what_the_layer_itself_has(layers: Layers) -> None:
    layers.unpack(Archive().add("f", b"mine").add(".wh.f"))

    assert (layers.root / "f").read_bytes() == b"mine"


def opaque(path: Path) -> set[str]:
    return {name for name in os.listxattr(path) if name.endswith("overlay.opaque")}


OPAQUE = {"user.overlay.opaque", "trusted.overlay.opaque"}


def test_an_opaque_directory_hides_all_below_it(layers: Layers) -> None:
    layers.unpack(Archive().directory("d").add("d/.wh..wh..opq").add("d/f", b"x"))

    assert opaque(layers.root / "d") == OPAQUE
    assert sorted(each.name for each in (layers.root / "d").iterdir()) == ["f"]


def test_an_opaque_directory_may_come_without_its_entry_and_be_the_root(layers: Layers) -> None:
    layers.unpack(Archive().add("d/.wh..wh..opq").add(".wh..wh..opq"))

    assert opaque(layers.root / "d") == OPAQUE
    assert opaque(layers.root) == OPAQUE


@pytest.mark.parametrize(
    "archive",
    [
        Archive().directory("d").add(".wh.d"),
        Archive().add(".wh.d").directory("d"),
        Archive().add(".wh.d").add("d/e/f"),
    ],
)
def test_a_directory_that_is_taken_away_and_made_anew_is_opaque(archive: Archive, layers: Layers) -> None:
    """Also one without an entry of its own."""
    layers.unpack(archive)

    assert opaque(layers.root / "d") == OPAQUE
    assert not any(is_whiteout(path.lstat()) for path in layers.root.rglob("*"))


def test_an_opaque_mark_through_a_link_stays_in_the_layer(layers: Layers) -> None:
    archive = Archive().directory("d").link("l", str(layers.directory)).add("l/.wh..wh..opq")

    layers.refuse(archive)
    assert not opaque(layers.directory)


def test_aufs_records_are_left_out(layers: Layers) -> None:
    result = layers.unpack(Archive().directory(".wh..wh.plnk").add(".wh..wh.aufs"))

    assert result.left_out == 2
    assert list(layers.root.iterdir()) == []


def test_of_entries_with_one_name_the_last_counts(layers: Layers) -> None:
    layers.unpack(
        Archive()
        .add("f", b"1")
        .add("f", b"2")
        .directory("d")
        .add("d/in/side", b"x")
        .add("d", b"now a file")
        .link("l", "f")
        .directory("l")
        .directory("twice", mode=0o700)
        .add("twice/kept", b"x")
        .directory("twice", mode=0o711)
    )

    assert (layers.root / "f").read_bytes() == b"2"
    assert (layers.root / "d").read_bytes() == b"now a file"
    assert stat.S_ISDIR(layers.stat("l").st_mode)
    assert stat.S_IMODE(layers.stat("twice").st_mode) == 0o711
    assert (layers.root / "twice/kept").exists()


def test_sparse_files_stay_sparse(layers: Layers) -> None:
    layers.directory.joinpath("in").mkdir()
    with (layers.directory / "in/sparse").open("wb") as file:
        file.seek(64 << 20)
        file.write(b"end")
    tar = ["tar", "cS", "-C", str(layers.directory / "in"), "sparse"]
    layers.unpack(subprocess.run(tar, capture_output=True, check=True).stdout)

    assert (layers.root / "sparse").read_bytes() == bytes(64 << 20) + b"end"
    assert layers.stat("sparse").st_blocks * 512 < 1 << 20


def test_a_sparse_file_of_impossible_size_is_refused(layers: Layers) -> None:
    records = {"GNU.sparse.size": str(1 << 62), "GNU.sparse.map": "0,1"}

    assert "claims" in layers.refuse(Archive().add("f", b"x", pax_headers=records))


def test_users_attributes_are_kept_and_others_are_not(layers: Layers) -> None:
    names = ("user.mine", "user.overlay.opaque", "user.overlay.redirect", "trusted.overlay.opaque",
             "security.capability", "security.selinux", "system.posix_acl_access")  # fmt: skip
    records = {f"SCHILY.xattr.{name}": "y" for name in names}
    layers.unpack(Archive().add("f", b"x", pax_headers=records).directory("d", pax_headers=records))

    for name in ("f", "d"):
        assert os.listxattr(layers.root / name) == ["user.mine"]


def test_set_user_id_bits_are_dropped(layers: Layers) -> None:
    layers.unpack(Archive().add("su", b"x", mode=0o6755))

    assert stat.S_IMODE(layers.stat("su").st_mode) == 0o755


def test_names_that_are_not_utf8_are_kept(layers: Layers) -> None:
    name = b"\xff\xfe\n\x1b[31m"
    layers.unpack(Archive(tarfile.GNU_FORMAT).add(os.fsdecode(name), b"x"))

    assert os.listdir(os.fsencode(layers.root)) == [name]


def test_errors_show_hostile_names_harmlessly(layers: Layers) -> None:
    text = layers.refuse(Archive(tarfile.GNU_FORMAT).add("../\x1b[31m\n\udcff", b"x"))

    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_decompression_bomb_is_refused_at_its_bound(compress: "object", layers: Layers) -> None:
    bomb = compress(Archive().add("bomb", bytes(64 << 20)).data)  # type: ignore[operator]
    assert len(bomb) < 1 << 20

    assert "room" in layers.refuse(bomb, LayerBounds(size=1 << 20))


def _with_attribute(number: int) -> dict[str, Any]:
    return {"pax_headers": {"SCHILY.xattr.user.a": str(number) * 1000}}


@pytest.mark.parametrize(
    "add",
    [
        lambda archive, number: archive.add(f"f{number}", b"x"),
        lambda archive, number: archive.directory(f"d{number}"),
        lambda archive, number: archive.add(f"{number}/implied"),
        lambda archive, number: archive.link(f"l{number}", "t" * 100),
        lambda archive, number: archive.add(f"a{number}", **_with_attribute(number)),
    ],
    ids=["files", "directories", "implied-directories", "long-links", "attributes"],
)
def test_what_is_small_takes_room_too(add: Callable[[Archive, int], Archive], layers: Layers) -> None:
    archive = Archive()
    for number in range(10):
        add(archive, number)

    assert "room" in layers.refuse(archive, LayerBounds(size=39 << 10))


def test_empty_files_and_short_links_are_free(layers: Layers) -> None:
    assert layers.unpack(Archive().add("f").link("l", "f").hard_link("h", "f")).size == 0


def test_a_layer_of_too_many_or_too_deep_entries_is_refused(layers: Layers) -> None:
    many = Archive()
    for number in range(20):
        many.add(str(number))
    assert "more than 10 entries" in layers.refuse(many, LayerBounds(entries=10))
    assert "too deep" in layers.refuse(Archive().add("d/" * 50 + "f"), LayerBounds(depth=40))


@pytest.mark.parametrize("mtime", [-(1 << 40), -1, 1 << 32, 1 << 62])
def test_times_that_a_disk_cannot_have_are_brought_near(mtime: int, layers: Layers) -> None:
    layers.unpack(Archive(tarfile.GNU_FORMAT).add("f", mtime=mtime).directory("d", mtime=mtime))

    for name in ("f", "d"):
        assert layers.stat(name).st_mtime == min(max(mtime, 0), 1 << 33)


@pytest.mark.parametrize("owner", [65_536, 2**32 - 1, 2**32, 1 << 50])
def test_owners_that_no_instance_has_are_refused(owner: int, layers: Layers) -> None:
    user = layers.refuse(Archive(tarfile.GNU_FORMAT).add("by-user", uid=owner))
    group = layers.refuse(Archive(tarfile.GNU_FORMAT).add("by-group", gid=owner))

    for text, pair in ((user, f"{owner}:0"), (group, f"0:{owner}")):
        assert f"belongs to {pair}, and there are ids up to 65535 alone" in text


def test_an_attribute_that_does_not_fit_is_named(layers: Layers) -> None:
    archive = Archive().add("f", b"x", pax_headers={"SCHILY.xattr.user.mine": "y" * 70_000})

    assert "'f' has the attribute 'user.mine' of 70000 bytes, which the file system" in layers.refuse(archive)


def test_what_comes_after_the_end_is_not_made_and_counts_for_the_digest(layers: Layers) -> None:
    data = Archive().add("f", b"x").data + Archive().add("after", b"y").data

    assert layers.unpack(data).diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert os.listdir(layers.root) == ["f"]


@pytest.mark.parametrize("at", [100, 512, 1000, 70_000])
def test_a_cut_archive_is_an_error(at: int, layers: Layers) -> None:
    data = Archive().add("f", os.urandom(100_000)).data

    assert "cut off" in layers.refuse(data[:at])


@pytest.mark.parametrize("name", ["n" * 256, "a\0b"])
def test_impossible_names_are_an_error(name: str, layers: Layers) -> None:
    text = layers.refuse(Archive().add("f", b"x", pax_headers={"path": name}))

    assert "cannot unpack" in text or "impossible" in text


@pytest.mark.parametrize("mark", [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\0", b"garbage"])
def test_what_is_no_archive_is_an_error(mark: bytes, layers: Layers) -> None:
    assert layers.refuse(mark + bytes(100))


def test_cut_compression_is_an_error(layers: Layers) -> None:
    data = gzip.compress(Archive().add("f", os.urandom(100_000)).data)

    assert "cut off" in layers.refuse(data[:-5000])


def test_gzip_in_several_parts_is_one_layer(layers: Layers) -> None:
    data = Archive().add("f", b"x" * 2000).data
    result = layers.unpack(gzip.compress(data[:700]) + gzip.compress(data[700:]))

    assert (result.entries, result.size) == (1, 4096)


def test_the_digest_is_that_of_the_plain_archive(layers: Layers) -> None:
    data = Archive().add("f", b"x").data + bytes(4096)

    assert layers.unpack(gzip.compress(data)).diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_what_it_would_say_of_replaced_directories_is_bounded(layers: Layers) -> None:
    archive = Archive()
    for number in range(4000):
        archive.add("\udcff" * 150 + "/" + "\udcfe" * 140 + f"{number}/.wh..wh..opq")

    assert "replaces more than" in layers.refuse(archive)
