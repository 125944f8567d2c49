"""`kwhost cp`: what arrives from an instance stays where it belongs, whatever it claims to be."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kwhost.core.cli.archives import pack, unpack
from kwhost.core.errors import HostError, UsageError

Member = tuple[str, bytes, str, bytes]


def archive(*members: Member) -> list[bytes]:
    """NAME, type, link, content of each; in pieces of a few bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, kind, link, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size, member.mode = kind, link, len(content), 0o6777
            tar.addfile(member, io.BytesIO(content))
    data = file.getvalue()
    return [data[start : start + 100] for start in range(0, len(data), 100)]


def folder(name: str) -> Member:
    return (name, tarfile.DIRTYPE, "", b"")


def file(name: str, content: bytes = b"content") -> Member:
    return (name, tarfile.REGTYPE, "", content)


def link(name: str, target: str) -> Member:
    return (name, tarfile.SYMTYPE, target, b"")


def test_a_file_takes_the_targets_name_or_goes_into_the_directory(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    unpack(archive(file("app.log")), tmp_path / "mine.log")
    unpack(archive(file("app.log")), tmp_path / "there")

    assert (tmp_path / "mine.log").read_bytes() == (tmp_path / "there/app.log").read_bytes() == b"content"
    assert (tmp_path / "mine.log").stat().st_mode & 0o7022 == 0


def test_a_directory_comes_with_all_that_is_in_it(tmp_path: Path) -> None:
    unpack(archive(folder("etc"), file("etc/a"), link("etc/b", "a")), tmp_path / "copy")

    assert (tmp_path / "copy/b").read_bytes() == b"content"


@pytest.mark.parametrize(
    "members",
    [
        [file("/etc/x")],
        [file("../x")],
        [folder("top"), file("top/../../x")],
        [folder("top"), file("beside/x")],
        [folder("top"), link("top/out", "/etc"), file("top/out/x")],
        [folder("top"), link("top/out", "../.."), file("top/out/x")],
        [folder("top"), folder("top/in"), link("top/link", "in"), file("top/link/x")],
        [folder("top"), ("top/hard", tarfile.LNKTYPE, "/etc/passwd", b"")],
        [folder("top"), ("top/hard", tarfile.LNKTYPE, "top/missing", b"")],
        [("device", tarfile.CHRTYPE, "", b"")],
        [("pipe", tarfile.FIFOTYPE, "", b"")],
        [],
    ],
)
def test_what_reaches_beyond_is_refused(tmp_path: Path, members: list[Member]) -> None:
    (tmp_path / "target").mkdir()

    with pytest.raises(UsageError):
        unpack(archive(*members), tmp_path / "target")

    assert not (tmp_path / "x").exists()


def test_links_are_kept_as_they_are_wherever_they_lead(tmp_path: Path) -> None:
    unpack(archive(folder("etc"), link("etc/out", "/etc/passwd"), link("etc/up", "../..")), tmp_path / "copy")

    assert (tmp_path / "copy/out").readlink() == Path("/etc/passwd")
    assert (tmp_path / "copy/up").readlink() == Path("../..")


def test_a_link_that_lies_here_already_is_not_followed_out(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "target/app.log").symlink_to(tmp_path / "precious")

    with pytest.raises(UsageError):
        unpack(archive(file("app.log")), tmp_path / "target")

    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda _: b"no archive" * 100])
def test_what_is_no_archive_is_told(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    data = spoil(b"".join(archive(file("x", b"y" * 20_000))))

    with pytest.raises(UsageError):
        unpack([data], tmp_path / "x")


def test_there_and_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(bytes(300_000))

    unpack(pack(source, "renamed"), tmp_path / "back")

    assert (tmp_path / "back/large").read_bytes() == bytes(300_000)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="missing"):
        list(pack(tmp_path / "missing", "x"))
