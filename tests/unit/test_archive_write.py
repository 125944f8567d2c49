"""Unpacking archives that may be anything, in a directory that may be anything."""

import errno
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwhost.core.errors import Conflict, KwhostError, NotFound, UsageError
from kwhost.core.supervise import archive_write
from kwhost.core.supervise.archive_errors import explain
from kwhost.core.supervise.archive_write import WriteBounds, unpack_archive
from tests.unit.archives import NAMES, archive, archive_of, entry


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "to").mkdir()
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def unpack(root: int, data: bytes, **options: object) -> None:
    unpack_archive(root, "/to", io.BytesIO(data), **options)  # type: ignore[arg-type]


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def test_what_was_read_is_written_again(tmp_path: Path, root: int) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"x" * 700)
    (tmp_path / "a/b/file").chmod(0o751)
    os.utime(tmp_path / "a/b/file", (1000, 1000))
    os.link(tmp_path / "a/b/file", tmp_path / "a/again")
    (tmp_path / "a/link").symlink_to("b")
    with archive_of(root, "/a") as read:
        data = cast("io.BytesIO", read.fileobj).getvalue()

    unpack(root, data)

    copied = tmp_path / "to/a"
    status = (copied / "b/file").stat()
    assert names(copied) == names(tmp_path / "a")
    assert (copied / "b/file").read_bytes() == b"x" * 700
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o751, 1000)
    assert (copied / "again").stat().st_ino == status.st_ino
    assert (copied / "link").readlink() == Path("b")


def test_missing_directories_are_made(tmp_path: Path, root: int) -> None:
    unpack(root, archive(entry("./a/b/c", b"1")))

    assert (tmp_path / "to/a/b/c").read_bytes() == b"1"


def test_set_user_id_bits_are_dropped(tmp_path: Path, root: int) -> None:
    unpack(root, archive(entry("file", b"1", mode=0o6755), entry("d", None, mode=0o7777)))

    assert (tmp_path / "to/file").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "to/d").stat().st_mode & 0o7777 == 0o1777


@pytest.mark.parametrize(
    "bad",
    [
        entry("/absolute", b"1"),
        entry("a/../../out", b"1"),
        entry("..", None),
        entry("device", type=tarfile.CHRTYPE),
        entry("pipe", type=tarfile.FIFOTYPE),
        entry("hard", type=tarfile.LNKTYPE, linkname="../secret"),
        entry("hard", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        entry("hard", type=tarfile.LNKTYPE, linkname="missing"),
        entry("what", type=b"Z"),
        entry("owner", uid=2**32 - 1),
        entry("owner", gid=-5),
    ],
    ids=lambda bad: f"{bad[0].name}-{bad[0].linkname}",
)
def test_an_entry_that_is_refused_is_named_and_nothing_follows_it(
    tmp_path: Path, root: int, bad: tuple[tarfile.TarInfo, bytes]
) -> None:
    (tmp_path / "secret").write_text("secret")

    with pytest.raises(UsageError, match=bad[0].name.replace(".", r"\.")):
        unpack(root, archive(entry("first", b"1"), bad, entry("later", b"2")))

    assert names(tmp_path / "to") == ["first"]
    assert names(tmp_path) == ["secret", "to", "to/first"]


@pytest.mark.parametrize("target", ["/etc", "..", "../outside", "{absolute}"])
def test_nothing_is_written_through_a_link_that_leads_out(tmp_path: Path, root: int, target: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "etc").mkdir()
    target = target.format(absolute=tmp_path / "outside")
    link = entry("link", type=tarfile.SYMTYPE, linkname=target)

    with pytest.raises(UsageError, match="leads out of the directory"):
        unpack(root, archive(link, entry("link/file", b"1")))

    assert names(tmp_path) == ["etc", "outside", "to", "to/link"]


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path, root: int) -> None:
    (tmp_path / "outside").write_text("as it was")
    (tmp_path / "to/file").symlink_to("../outside")

    unpack(root, archive(entry("file", b"new")))

    assert (tmp_path / "to/file").read_bytes() == b"new"
    assert (tmp_path / "outside").read_text() == "as it was"


def test_a_directory_is_not_replaced_by_a_file(tmp_path: Path, root: int) -> None:
    (tmp_path / "to/d").mkdir()

    with pytest.raises(UsageError, match="d is a directory in the instance"):
        unpack(root, archive(entry("d", b"1")))

    assert names(tmp_path / "to") == ["d"]


def test_the_target_must_be_a_directory_that_is_there(tmp_path: Path, root: int) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NotFound):
        unpack_archive(root, "/missing", io.BytesIO(archive()))
    with pytest.raises(UsageError, match="/file is no directory"):
        unpack_archive(root, "/file", io.BytesIO(archive()))


@pytest.mark.parametrize("left", [0, 100, 512, 600, 1024, 1100, 3 * 512])
def test_an_archive_that_is_cut_off_is_refused_and_leaves_no_half_file(
    tmp_path: Path, root: int, left: int
) -> None:
    data = archive(entry("one", b"1" * 512), entry("two", b"2" * 512))

    with pytest.raises(UsageError):
        unpack(root, data[:left])

    assert set(names(tmp_path / "to")) <= {"one"}


@pytest.fixture(params=["unnamed", "named"])
def _new_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a file system that has files without a name."""
    if request.param == "named":
        monkeypatch.setattr(archive_write, "_UNNAMED", os.O_WRONLY | os.O_DIRECTORY)


@pytest.mark.usefixtures("_new_files")
def test_a_file_appears_complete(tmp_path: Path, root: int) -> None:
    unpack(root, archive(entry("file", b"x" * 1000, mode=0o640)))

    assert names(tmp_path / "to") == ["file"]
    assert (tmp_path / "to/file").read_bytes() == b"x" * 1000
    assert (tmp_path / "to/file").stat().st_mode & 0o7777 == 0o640


@pytest.mark.usefixtures("_new_files")
def test_a_copy_that_is_given_up_leaves_no_temporary_file(tmp_path: Path, root: int) -> None:
    class Source(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 300_000:
                raise KeyboardInterrupt
            return super().read(size)

    with pytest.raises(KeyboardInterrupt):
        unpack_archive(root, "/to", cast("BinaryIO", Source(archive(entry("big", bytes(1_000_000))))))

    assert names(tmp_path / "to") == []


def test_depth_entries_and_sizes_are_bounded(root: int) -> None:
    data = archive(entry("a/b/c", b"12"), entry("d"))

    for bounds in (WriteBounds(depth=1), WriteBounds(entries=1), WriteBounds(size=1)):
        with pytest.raises(UsageError):
            unpack(root, data, bounds=bounds)


def test_what_an_archive_says_about_itself_is_bounded(root: int) -> None:
    """The header announces a name of 100 MB."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 100_000_000

    with pytest.raises(UsageError, match="header of"):
        unpack(root, header.tobuf(tarfile.GNU_FORMAT) + bytes(2048))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=50,
    deadline=None,
)
@given(name=NAMES, content=st.binary(max_size=600))
def test_every_name_and_content_arrives(tmp_path: Path, root: int, name: str, content: bytes) -> None:
    unpack(root, archive(entry(name, content)))

    assert (tmp_path / "to" / name).read_bytes() == content
    (tmp_path / "to" / name).unlink()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=200,
    deadline=None,
)
@given(place=st.integers(0, 2047), byte=st.integers(0, 255), cut=st.integers(0, 3000))
def test_a_damaged_archive_is_an_error_or_harmless(
    tmp_path: Path, root: int, place: int, byte: int, cut: int
) -> None:
    data = bytearray(archive(entry("a\udcff" * 60, b"x" * 600), entry("second", b"y")))
    data[place] = byte

    with suppress(KwhostError):
        unpack(root, bytes(data[: len(data) - cut]), foreign_ids=True)

    assert [path for path in names(tmp_path) if not path.startswith("to")] == []


def test_full_and_read_only_file_systems_are_told_as_such() -> None:
    full = explain(OSError(errno.ENOSPC, "No space left on device"), "a/b")
    read_only = explain(OSError(errno.EROFS, "Read-only file system"), "a/b")

    assert isinstance(full, Conflict)
    assert str(full) == "a/b cannot be written: the instance's file system is full"
    assert isinstance(read_only, Conflict)
    assert str(read_only) == "a/b is on a read-only file system of the instance"
