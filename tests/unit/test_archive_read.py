"""Archives of a tree that its owner may change while it is read."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from kwhost.core.errors import NotFound, UsageError
from kwhost.core.supervise.archive_read import ReadBounds, write_archive_of
from tests.unit.archives import NAMES, archive_of, content


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_a_tree_keeps_its_files_directories_and_links(tmp_path: Path, root: int) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"x" * 1000)
    (tmp_path / "a/b/file").chmod(0o4750)
    (tmp_path / "a/link").symlink_to("/etc/passwd")

    with archive_of(root, "/a") as archive:
        kinds = {member.name: member.type for member in archive}
        mode = archive.getmember("a/b/file").mode
        target = archive.getmember("a/link").linkname
        data = content(archive, "a/b/file")

    assert kinds == {
        "a": tarfile.DIRTYPE,
        "a/b": tarfile.DIRTYPE,
        "a/b/file": tarfile.REGTYPE,
        "a/link": tarfile.SYMTYPE,
    }
    assert (mode, target, data) == (0o4750, "/etc/passwd", b"x" * 1000)


def test_a_file_with_two_names_is_in_the_archive_once(tmp_path: Path, root: int) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/one").write_bytes(b"data")
    os.link(tmp_path / "d/one", tmp_path / "d/two")

    with archive_of(root, "/d") as archive:
        kinds = sorted(member.type for member in archive if not member.isdir())
        assert content(archive, "d/one") == content(archive, "d/two") == b"data"

    assert kinds == [tarfile.REGTYPE, tarfile.LNKTYPE]


def test_pipes_and_sockets_are_left_out_and_never_waited_for(tmp_path: Path, root: int) -> None:
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d/pipe")
    (tmp_path / "d/file").touch()

    with archive_of(root, "/d") as archive:
        assert archive.getnames() == ["d", "d/file"]
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        archive_of(root, "/d/pipe")


@pytest.mark.parametrize(
    ("path", "name"), [("/d/f", "f"), ("d/f", "f"), ("/d/../d/f", "f"), ("/", "."), ("/d/.", "d")]
)
def test_names_begin_with_the_last_one_of_the_path(tmp_path: Path, root: int, path: str, name: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").touch()

    with archive_of(root, path) as archive:
        assert archive.getnames()[0] == name


def test_links_lead_where_they_would_inside(tmp_path: Path, root: int) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("inside")
    (tmp_path / "absolute").symlink_to("/etc")
    (tmp_path / "upwards").symlink_to("../../../../../../../../etc")

    for path in ("/absolute/passwd", "/upwards/passwd", "/../../etc/passwd"):
        with archive_of(root, path) as archive:
            assert content(archive, "passwd") == b"inside"


def test_a_link_at_the_end_is_copied_itself_unless_a_slash_follows(tmp_path: Path, root: int) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").touch()
    (tmp_path / "link").symlink_to("d")

    with archive_of(root, "/link") as itself, archive_of(root, "/link/") as followed:
        assert [member.type for member in itself] == [tarfile.SYMTYPE]
        assert followed.getnames() == ["link", "link/f"]


def test_what_is_not_there_is_not_found_before_anything_is_written(root: int) -> None:
    output = io.BytesIO()

    with pytest.raises(NotFound, match="there is no /missing/x in the instance"):
        write_archive_of(root, "/missing/x", output)

    assert output.getvalue() == b""


@pytest.mark.parametrize("change", [b"", b"x" * 5_000_000])
def test_a_file_that_changes_its_size_meanwhile_gives_an_archive_all_the_same(
    tmp_path: Path, root: int, change: bytes
) -> None:
    """It is changed when its first piece has been read."""
    (tmp_path / "d").mkdir()
    path = tmp_path / "d/file"
    path.write_bytes(b"y" * 1_000_000)
    calls = iter(range(1000))

    def check() -> None:
        if next(calls) == 2:
            path.write_bytes(change)

    with archive_of(root, "/d", check=check) as archive:
        assert archive.getmember("d/file").size == 1_000_000
        assert len(content(archive, "d/file")) == 1_000_000


def test_depth_entries_and_sizes_are_bounded(tmp_path: Path, root: int) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/file").write_bytes(bytes(100))

    for bounds in (ReadBounds(depth=1), ReadBounds(entries=3), ReadBounds(size=99)):
        with pytest.raises(UsageError):
            archive_of(root, "/a", bounds=bounds)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=50,
    deadline=None,
)
@given(name=NAMES)
def test_every_name_survives(tmp_path: Path, root: int, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"1")
    try:
        with archive_of(root, "/" + name) as archive:
            assert archive.getnames() == [name]
    finally:
        path.unlink()
