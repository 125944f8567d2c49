"""Archives for tests, entry by entry, also such as no program would write."""

import io
import tarfile
from collections.abc import Callable

__all__ = ["Archive", "reader_of"]


class Archive:
    """An archive that grows; `data` is all of it."""

    def __init__(self, format: int = tarfile.PAX_FORMAT) -> None:  # noqa: A002
        self._file = io.BytesIO()
        self._tar = tarfile.open(  # noqa: SIM115 - closed by `data`
            fileobj=self._file, mode="w", format=format, encoding="utf-8", errors="surrogateescape"
        )

    def add(
        self, name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **fields: object
    ) -> "Archive":
        entry = tarfile.TarInfo(name)
        entry.type = kind
        entry.size = len(content)
        for field, value in fields.items():
            setattr(entry, field, value)
        self._tar.addfile(entry, io.BytesIO(content))
        return self

    def directory(self, name: str, **fields: object) -> "Archive":
        return self.add(name, b"", tarfile.DIRTYPE, mode=fields.pop("mode", 0o755), **fields)

    def link(self, name: str, target: str) -> "Archive":
        return self.add(name, kind=tarfile.SYMTYPE, linkname=target)

    def hard_link(self, name: str, target: str) -> "Archive":
        return self.add(name, kind=tarfile.LNKTYPE, linkname=target)

    @property
    def data(self) -> bytes:
        self._tar.close()
        return self._file.getvalue()


def reader_of(data: bytes) -> Callable[[int], bytes]:
    """Bytes as a stream."""
    return io.BytesIO(data).read
