"""Tar archives for tests, made and read by Python's own library."""

import io
import os
import tarfile

from hypothesis import strategies as st

from kwhost.core.supervise.archive_read import write_archive_of

__all__ = ["NAMES", "archive", "archive_of", "content", "entry"]

# Any name that a Linux directory can hold: every byte but NUL and the slash.
NAMES = (
    st.binary(min_size=1, max_size=255)
    .filter(lambda name: not {0, ord("/")} & set(name) and name not in (b".", b".."))
    .map(os.fsdecode)
)


def archive_of(root: int, path: str, **options: object) -> tarfile.TarFile:
    data = io.BytesIO()
    write_archive_of(root, path, data, **options)  # type: ignore[arg-type]
    data.seek(0)
    return tarfile.open(fileobj=data, mode="r:", encoding="utf-8", errors="surrogateescape")


def content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file
    return file.read()


def entry(name: str, content: bytes | None = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    """A file, or with None a directory; `fields` say what else is different."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    info.size = len(content or b"")
    info.uid, info.gid = os.geteuid(), os.getegid()
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content or b""


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(
        fileobj=data, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as file:
        for info, content in entries:
            file.addfile(info, io.BytesIO(content))
    return data.getvalue()
