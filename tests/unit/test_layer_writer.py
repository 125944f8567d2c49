"""Whatever a layer's entries are, and in whatever order, nothing is changed outside of its directory."""

import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from kwhost.core.errors import ImageError
from kwhost.core.images.layer_writer import LayerBounds, write_layer
from kwhost.core.images.tar_reader import TarReader
from tests.unit.tar_parts import Archive, reader_of

# Few names, so that entries meet: one replaces another, leads through it, or takes it away.
_PARTS = st.sampled_from(["a", "b", "secret", "..", ".", "", ".wh.a", ".wh.b", ".wh..wh..opq", "\udcff"])
_NAMES = st.lists(_PARTS, min_size=1, max_size=4).map("/".join)
_TARGETS = st.one_of(_NAMES, st.sampled_from(["/", "..", "../secret", "../outside", "/proc/self/root"]))
_KINDS = st.sampled_from(
    [
        tarfile.REGTYPE,
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
    ]
)
_ENTRIES = st.lists(
    st.tuples(_KINDS, _NAMES, _TARGETS, st.binary(max_size=20), st.integers(0, 0o7777)), max_size=12
)


def _look(directory: Path) -> list[tuple[object, ...]]:
    """All that could be changed of what is beside the layer."""
    found = [directory / "secret", directory / "outside", *(directory / "outside").iterdir()]
    return [(path, *_changeable(path.lstat()), path.is_file() and path.read_bytes()) for path in found]


def _changeable(status: os.stat_result) -> tuple[int, ...]:
    """All but when it was read, which looking itself changes."""
    return (*status[:7], status.st_mtime_ns, status.st_ctime_ns)


def _is_harmless(path: Path) -> bool:
    """No device but a whiteout, and no set-user-ID bit."""
    status = path.lstat()
    device = stat.S_ISBLK(status.st_mode) or (stat.S_ISCHR(status.st_mode) and status.st_rdev != 0)
    plain = stat.S_ISREG(status.st_mode)
    return not device and not (plain and status.st_mode & (stat.S_ISUID | stat.S_ISGID))


@settings(max_examples=200, deadline=None)
@given(_ENTRIES)
def test_entries_in_any_order_stay_in_the_layer(entries: list[tuple[bytes, str, str, bytes, int]]) -> None:
    archive = Archive(tarfile.GNU_FORMAT)
    for kind, name, target, content, mode in entries:
        body = content if kind == tarfile.REGTYPE else b""
        archive.add(name, body, kind, linkname=target, mode=mode | 0o700, devmajor=1, devminor=3)
    with TemporaryDirectory() as place:
        directory = Path(place)
        (directory / "outside").mkdir()
        (directory / "outside/kept").write_text("kept")
        (directory / "secret").write_text("secret")
        (directory / "layer").mkdir()
        before = _look(directory)
        root = os.open(directory / "layer", os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(ImageError):
                write_layer(root, TarReader(reader_of(archive.data)), LayerBounds(), one_owner=True)
        finally:
            os.close(root)

        assert _look(directory) == before
        assert sorted(os.listdir(directory)) == ["layer", "outside", "secret"]
        assert all(map(_is_harmless, (directory / "layer").rglob("*")))
