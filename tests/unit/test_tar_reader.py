"""The reader of tar archives: what programs write is read, and what is no archive is an ImageError."""

import io
import subprocess
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwhost.core.errors import ImageError
from kwhost.core.images.tar_reader import Entry, Kind, TarReader
from tests.unit.tar_parts import Archive, reader_of


def read(data: bytes) -> list[tuple[Entry, bytes]]:
    reader = TarReader(reader_of(data))
    return [(entry, b"".join(reader.pieces())) for entry in reader.entries()]


def gnu_tar(directory: Path, *options: str) -> bytes:
    return subprocess.run(
        ["tar", "c", *options, "-C", str(directory), "."], capture_output=True, check=True
    ).stdout


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        read(data)
    return str(caught.value)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_header_is_read(form: int) -> None:
    archive = Archive(form).add("a", b"hello", mode=0o640, uid=5, gid=6, mtime=7)
    archive.directory("d").link("d/l", "../a").hard_link("d/h", "a")

    (file, content), (directory, _), (link, _), (hard, _) = read(archive.data)

    assert (file.name, file.kind, content) == (b"a", Kind.FILE, b"hello")
    assert (file.mode, file.uid, file.gid, file.mtime) == (0o640, 5, 6, 7)
    assert directory.kind is Kind.DIRECTORY
    assert (link.kind, link.link) == (Kind.SYMLINK, b"../a")
    assert (hard.kind, hard.link) == (Kind.LINK, b"a")


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_large_ids_are_read(form: int) -> None:
    name, target = "d" * 90 + "/" + "n" * 90, "t" * 200

    ((entry, _),) = read(Archive(form).add(name, kind=tarfile.SYMTYPE, linkname=target, uid=3_000_000).data)

    assert (entry.name, entry.link, entry.uid) == (name.encode(), target.encode(), 3_000_000)


def test_names_are_bytes() -> None:
    ((entry, _),) = read(Archive(tarfile.GNU_FORMAT).add(b"\xff\xfe".decode("utf-8", "surrogateescape")).data)

    assert entry.name == b"\xff\xfe"


@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
def test_sparse_files_are_read_in_every_form(form: str, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        for place in range(12):  # more pieces than the first header has room for
            file.seek(place << 20)
            file.write(b"%04d" % place * 1024)
        file.truncate(20 << 20)
    options = ["--format=gnu"] if form == "gnu" else ["--format=posix", f"--sparse-version={form}"]

    sparse = next(each for each in read(gnu_tar(tmp_path, "-S", *options)) if each[0].segments is not None)

    assert sparse[0].name == b"./sparse"
    assert sparse[0].size == 20 << 20
    rebuilt, at = bytearray(sparse[0].size), 0
    for segment in sparse[0].segments or ():
        rebuilt[segment.offset : segment.offset + segment.size] = sparse[1][at : at + segment.size]
        at += segment.size
    assert rebuilt == (tmp_path / "sparse").read_bytes()


def test_what_is_not_taken_of_a_file_is_passed_over() -> None:
    reader = TarReader(reader_of(Archive().add("a", b"x" * 5000).add("b", b"y").data))

    assert [entry.name for entry in reader.entries()] == [b"a", b"b"]


def test_a_cut_archive_is_refused() -> None:
    data = Archive().add("a", b"x" * 5000).data

    assert "cut off" in refused(data[:3000])
    assert "cut off" in refused(data[:100])


@pytest.mark.parametrize("end", [512 + 5000, 512 + 5100, 512 + 5120])
def test_an_archive_may_end_right_behind_its_last_content(end: int) -> None:
    """As umoci writes it."""
    ((entry, content),) = read(Archive().add("a", b"x" * 5000).data[:end])

    assert (entry.name, content) == (b"a", b"x" * 5000)


def test_nothing_at_all_is_no_archive() -> None:
    assert "empty" in refused(b"")
    assert read(bytes(1024)) == []


def test_a_damaged_header_is_refused() -> None:
    data = bytearray(Archive().add("a", b"x").data)
    data[3] ^= 1

    assert "check sum" in refused(bytes(data))


def with_sum(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("text", [b"0o7", b"1_0", b"+7", b"-1", b"9"])
def test_only_octal_digits_are_a_number(text: bytes) -> None:
    """Python itself would take several of these for one."""
    header = bytearray(Archive().add("a").data[:512])
    header[124:136] = text.ljust(12, b"\0")

    assert "number" in refused(with_sum(header) + bytes(1024))


def test_what_pax_says_is_not_looked_for_in_the_header() -> None:
    data = bytearray(Archive().add("a", pax_headers={"uid": "5", "gid": "6", "mtime": "7.5"}).data)
    header = data[1024:1536]
    header[108:124] = b"elsewhe\0" * 2
    header[136:148] = b"elsewhere\0\0\0"
    data[1024:1536] = with_sum(header)

    ((entry, _),) = read(bytes(data))

    assert (entry.name, entry.uid, entry.gid, entry.mtime) == (b"a", 5, 6, 7)


@pytest.mark.parametrize("size", [1, 7, 512, 513, 10_240])
def test_an_archive_is_read_in_whatever_pieces_it_comes(size: int) -> None:
    archive = Archive().add("a", b"x" * 700).directory("d").add("d/" + "n" * 150, b"y" * 512).data
    stream = io.BytesIO(archive)
    reader = TarReader(lambda most: stream.read(min(most, size)))

    found = [(entry.name, b"".join(reader.pieces())) for entry in reader.entries()]

    assert found == [(entry.name, content) for entry, content in read(archive)]


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_extended_headers_are_bounded(kind: bytes) -> None:
    header = bytearray(Archive().add("a").data[:512])
    header[156:157] = kind
    header[124:136] = b"%011o\0" % (1 << 30)

    assert "extended header of 1073741824 bytes" in refused(with_sum(header))


def test_the_longest_names_are_read() -> None:
    name = "/".join(["d" * 100] * 10_000)

    ((entry, _),) = read(Archive(tarfile.GNU_FORMAT).add(name).data)

    assert entry.name == name.encode()


@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"S"])
def test_negative_sizes_are_refused(kind: bytes) -> None:
    header = bytearray(Archive().add("a").data[:512])
    header[156:157] = kind
    header[124:136] = b"\xff" * 11 + b"\x00"

    assert "negative" in refused(with_sum(header) + bytes(1024))


@pytest.mark.parametrize(("size", "text"), [("-1", "negative"), ("9" * 18, "cut off"), ("9" * 20, "number")])
def test_sizes_of_pax_that_cannot_be_are_refused(size: str, text: str) -> None:
    assert text in refused(Archive().add("a", b"x", pax_headers={"size": size}).data)


@pytest.mark.parametrize(("form", "mtime"), [(tarfile.PAX_FORMAT, -1.5), (tarfile.GNU_FORMAT, -(1 << 40))])
def test_times_before_the_epoch_are_the_epoch(form: int, mtime: float) -> None:
    ((entry, _),) = read(Archive(form).add("a", mtime=mtime).data)

    assert entry.mtime == 0


def test_what_comes_after_the_end_is_none_of_it() -> None:
    more = Archive().add("b", b"y").data

    assert [entry.name for entry, _ in read(Archive().add("a", b"x").data + more)] == [b"a"]


def test_a_size_beyond_all_files_is_refused() -> None:
    header = bytearray(Archive().add("a").data[:512])
    header[124:136] = b"\x80" + b"\xff" * 11

    assert "63 bits" in refused(with_sum(header))


@pytest.mark.parametrize("record", [b"5 a=b\n", b"99 a=b\n", b"x a=b\n", b"6 abb\n", b"0 a=b\n"])
def test_damaged_pax_records_are_refused(record: bytes) -> None:
    header = bytearray(Archive().add("a").data[:512])
    header[156:157] = b"x"
    header[124:136] = b"%011o\0" % len(record)

    assert "pax" in refused(with_sum(header) + record.ljust(512, b"\0") + Archive().add("b").data)


@pytest.mark.parametrize("flat", ["0,10,5,10", "0,20", "0,5", "4096,10", "1"])
def test_a_sparse_map_that_contradicts_itself_is_refused(flat: str) -> None:
    records = {"GNU.sparse.size": "15", "GNU.sparse.map": flat}

    assert "sparse" in refused(Archive().add("a", b"0123456789", pax_headers=records).data)


@given(st.binary(max_size=4096))
def test_any_bytes_are_entries_or_an_error(data: bytes) -> None:
    with suppress(ImageError):
        read(data)


_BASE = (
    Archive()
    .directory("d")
    .add("d/" + "n" * 150, b"x" * 700, pax_headers={"SCHILY.xattr.user.a": "b", "GNU.sparse.size": "9000",
         "GNU.sparse.map": "0,700"})
    .link("l", "d")
    .data
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(_BASE) - 1), st.integers(0, 255)), max_size=4), st.booleans())
def test_any_change_of_an_archive_gives_entries_or_an_error(
    changes: list[tuple[int, int]], mend: bool
) -> None:
    data = bytearray(_BASE)
    for place, value in changes:
        data[place] = value
        if mend:  # so that the change itself is looked at
            start = place - place % 512
            data[start : start + 512] = with_sum(data[start : start + 512])
    try:
        entries = read(bytes(data))
    except ImageError:
        return
    for entry, content in entries:
        assert len(content) == entry.stored
        assert entry.segments is None or sum(each.size for each in entry.segments) == entry.stored


@given(
    st.lists(
        st.tuples(
            st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name),
            st.binary(max_size=2000),
        ),
        max_size=5,
    )
)
def test_what_tarfile_writes_is_read_as_it_was(files: list[tuple[bytes, bytes]]) -> None:
    archive = Archive(tarfile.GNU_FORMAT)
    for name, content in files:
        archive.add(name.decode("utf-8", "surrogateescape"), content)

    found = [(entry.name.rstrip(b"/"), content) for entry, content in read(archive.data)]

    assert found == [(name.rstrip(b"/"), content) for name, content in files]


def test_old_archives_have_directories_too(tmp_path: Path) -> None:
    """Archives from before ustar name a directory by a slash at its end."""
    (tmp_path / "d").mkdir()

    entries = read(gnu_tar(tmp_path, "--format=v7"))

    assert [entry.kind for entry, _ in entries] == [Kind.DIRECTORY] * 2
