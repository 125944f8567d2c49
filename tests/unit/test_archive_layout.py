"""What an archive claims to have costs little before it is known how much it claims."""

import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwhost.core.errors import ImageError
from kwhost.core.images.archive_layout import Directory, read_layout
from kwhost.core.images.digests import digest_of

NOWHERE = f"sha256:{'0' * 64}"
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": NOWHERE, "size": 1}
MANIFEST = json.dumps({"config": {"digest": NOWHERE, "size": 1}, "layers": [LAYER]}).encode()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Directory]:
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield Directory(fd)
    os.close(fd)


def write_index(place: Path, digest: str, count: int) -> None:
    (place / "index.json").write_text(json.dumps({"manifests": [{"digest": digest, "size": 1}] * count}))


def test_too_many_images_are_refused_before_anything_of_them_is_read(
    archive: Directory, tmp_path: Path
) -> None:
    write_index(tmp_path, NOWHERE, 101)

    with pytest.raises(ImageError, match="the archive has 101 images; 1 to 100 are taken"):
        read_layout(archive)


def test_no_more_than_one_images_documents_are_kept(archive: Directory, tmp_path: Path) -> None:
    large = MANIFEST.ljust(4 << 20)
    (tmp_path / "blobs/sha256" / digest_of(large)[7:]).write_bytes(large)
    write_index(tmp_path, digest_of(large), 20)

    tracemalloc.start()
    count, images = read_layout(archive)
    names = [image.names for image in images]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (count, len(names)) == (20, 20)
    assert peak < 6 * len(large)


def test_a_content_is_read_once(archive: Directory, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"content")
    (tmp_path / "two").hardlink_to(tmp_path / "one")

    with archive.open("one") as one, archive.open("two") as two:
        assert archive.digest(one) == archive.digest(two) == digest_of(b"content")
        assert two.tell() == 0
