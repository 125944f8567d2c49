"""The images that a command is about: a daemon's where one runs, else those of this user."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from kwhost.core.cli.connection import connect, daemon_answers
from kwhost.core.cli.diagnostics import notice
from kwhost.core.config.host import HostConfig, load_host_config
from kwhost.core.errors import HostError, UsageError

if TYPE_CHECKING:
    from kwhost.core.api.client import Client
    from kwhost.core.images.service import Images

__all__ = ["Archive", "ImageAccess", "daemon_is_used", "open_access", "pack_directory", "read_archive"]

_PIECE = 1 << 20


class Archive:
    """What is to be added: a file's pieces, with a line of progress on a terminal. `file` is the opened file
    itself where it is a plain one."""

    def __init__(
        self, pieces: Iterable[bytes], size: int | None, *, shown: bool, file: int | None = None
    ) -> None:
        self.file = file
        self._pieces = pieces
        self._size = size
        self._shown = shown

    def __iter__(self) -> Iterator[bytes]:
        done = tenths = 0
        for piece in self._pieces:
            yield piece
            done += len(piece)
            if self._shown and self._size and done * 10 // self._size > tenths:
                tenths = done * 10 // self._size
                notice(f"{tenths * 10} % read")


class ImageAccess(Protocol):
    """Images as JSON values, in lists without what they say of themselves. Raises KwhostError."""

    def all_images(self) -> list[dict[str, Any]]:
        """What may be used."""

    def inspect(self, reference: str) -> dict[str, Any]:
        """One of them."""

    def remove(self, reference: str) -> dict[str, Any]:
        """Forget a name."""

    def prune(self) -> list[dict[str, Any]]:
        """Forget what no instance needs."""

    def add(self, archive: Archive, *, name: str | None, root: bool) -> list[dict[str, Any]]:
        """Add what an archive has; `root`: it is the archive of a root file system."""


class _Daemon:
    def __init__(self, client: "Client", tenant: str | None) -> None:
        self._client = client
        self._query = {"tenant": tenant}

    def all_images(self) -> list[dict[str, Any]]:
        """See ImageAccess."""
        found: list[dict[str, Any]] = self._client.request("GET", "/v1/images", self._query)
        return found

    def inspect(self, reference: str) -> dict[str, Any]:
        """See ImageAccess."""
        found: dict[str, Any] = self._client.request("GET", _path(reference), self._query)
        return found

    def remove(self, reference: str) -> dict[str, Any]:
        """See ImageAccess."""
        found: dict[str, Any] = self._client.request("DELETE", _path(reference), self._query)
        return found

    def prune(self) -> list[dict[str, Any]]:
        """See ImageAccess."""
        removed: list[dict[str, Any]] = self._client.request("POST", "/v1/prune/images", self._query)
        return removed

    def add(self, archive: Archive, *, name: str | None, root: bool) -> list[dict[str, Any]]:
        """See ImageAccess."""
        query = {**self._query, "kind": "root" if root else "images", "name": name}
        given = {key: value for key, value in query.items() if value is not None}
        added: list[dict[str, Any]] = self._client.upload("/v1/images", given, archive)
        return added


def _path(reference: str) -> str:
    return f"/v1/images/{quote(os.fsencode(reference), safe='')}"


class _Local:
    def __init__(self, images: "Images", *, shown: bool) -> None:
        self._images = images
        self._shown = shown

    def all_images(self) -> list[dict[str, Any]]:
        """See ImageAccess."""
        return [asdict(image) for image in self._images.list(None)]

    def inspect(self, reference: str) -> dict[str, Any]:
        """See ImageAccess."""
        return _plain(asdict(self._images.inspect(None, reference)))

    def remove(self, reference: str) -> dict[str, Any]:
        """See ImageAccess."""
        return _plain(asdict(self._images.remove(None, reference)))

    def prune(self) -> list[dict[str, Any]]:
        """See ImageAccess."""
        return [asdict(image) for image in self._images.prune(None, ())]

    def add(self, archive: Archive, *, name: str | None, root: bool) -> list[dict[str, Any]]:
        """See ImageAccess."""
        if archive.file is not None:
            return self._add_file(archive.file, name, root=root)
        with self._images.spooling() as (file, write):
            for piece in archive:
                write(piece)
            os.lseek(file, 0, os.SEEK_SET)
            return self._add_file(file, name, root=root)

    def _add_file(self, file: int, name: str | None, *, root: bool) -> list[dict[str, Any]]:
        if root:
            added = self._images.import_root(None, file, name or "", self._report)
        else:
            added = self._images.load(None, file, name, self._report)
        return [asdict(image) for image in added]

    def _report(self, line: str) -> None:
        if self._shown:
            notice(line)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """As the API has it."""
    if check := fields["settings"]["healthcheck"]:
        check["kind"] = check["kind"].value
    return fields


def daemon_is_used(host: str | None, settings: HostConfig) -> bool:
    """Whether a command is about a daemon's images: one was named, or runs."""
    return bool(host or os.environ.get("KWHOST_HOST")) or daemon_answers(settings.api)


def open_access(host: str | None, tenant: str | None, *, shown: bool) -> ImageAccess:
    """A tenant's images; None: the operator's, or those of this user's only one. `shown`: progress is."""
    settings = load_host_config()
    if daemon_is_used(host, settings):
        return _Daemon(connect(host), tenant)
    if tenant is not None:
        raise UsageError("--tenant needs a daemon: kwhost up -d CONFIG starts one")
    from kwhost.core.local_images import open_images  # brings cffi

    return _Local(open_images(settings), shown=shown)


def read_archive(path: str, *, shown: bool) -> Archive:
    """A file's content, or standard input's for `-`. Raises HostError."""
    if path == "-":
        return Archive(_pieces(0), None, shown=shown)
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(file)
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
    plain = file if stat.S_ISREG(status.st_mode) else None
    return Archive(_pieces(file), status.st_size, shown=shown, file=plain)


def pack_directory(path: Path, *, shown: bool) -> Archive:
    """The archive of a root file system's directory. Raises HostError, also later."""
    from kwhost.core.cli.archives import pack  # brings tarfile

    return Archive(pack(path, "."), None, shown=shown)


def _pieces(file: int) -> Iterator[bytes]:
    try:
        while piece := os.read(file, _PIECE):
            yield piece
    except OSError as error:
        raise HostError(f"cannot read the archive: {error.strerror}") from error
    finally:
        if file != 0:
            os.close(file)
