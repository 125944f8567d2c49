"""`kwhost image pull`: an image's content from a registry, as an archive that `load` takes.

It is fetched by the command, with its user's rights, network and credentials; a daemon gets the archive
alone, and so cannot be made to connect to anything.
"""

import fcntl
import hashlib
import http.client
import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import HostError, ImageError
from kwhost.core.images.digests import Digest, digest_of, hex_of
from kwhost.core.images.documents import Descriptor, Index, Manifest, decode, is_index
from kwhost.core.images.names import ImageName
from kwhost.core.images.on_disk import locked
from kwhost.core.images.platforms import choose
from kwhost.core.images.registry import Registry
from kwhost.core.model.units import format_bytes

__all__ = ["Pulled", "alone_in", "archive_of", "pull"]

_PARALLEL = 4
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.1  # before the second attempt; each more is that much longer
_PIECE = 1 << 18
_ACCEPT = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in ("oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.list.v2",
                 "docker.distribution.manifest.v2")
)  # fmt: skip
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


class Pulled(NamedTuple):
    """What has come: the manifest, files of the blobs, and what the manifest was chosen from, if anything."""

    manifest: bytes
    blobs: dict[Digest, Path]
    chosen_from: bytes | None = None


@contextmanager
def alone_in(cache: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Have the directory for what comes, and nobody else in it. Raises HostError."""
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as held:
            try:
                held.enter_context(locked(cache / ".lock", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                report("waiting for another pull to end")
                held.enter_context(locked(cache / ".lock", fcntl.LOCK_EX))
            yield
    except OSError as error:
        raise HostError(f"cannot use {cache}: {error.strerror or error}") from error


def pull(registry: Registry, name: ImageName, cache: Path, report: Callable[[str], None]) -> Pulled:
    """Fetch an image into `cache`, where nobody else may be. What has come of a layer stays there where this
    fails, and is not fetched again. Raises ImageError, HostError."""
    manifest, index = _manifest(registry, name)
    parsed = decode(manifest, Manifest, "the registry's manifest")
    parsed.check_layers()
    wanted = {blob.name: blob for blob in (parsed.config, *parsed.layers)}
    progress = _Progress(sum(blob.size for blob in wanted.values()), report)
    with ThreadPoolExecutor(_PARALLEL) as threads:
        fetched = [threads.submit(_fetch, registry, blob, cache, progress) for blob in wanted.values()]
        files = [each.result() for each in fetched]
    return Pulled(manifest, dict(zip(wanted, files, strict=True)), index)


def _manifest(registry: Registry, name: ImageName) -> tuple[bytes, bytes | None]:
    """The image's manifest, and the index that has it, if there is one."""
    document = registry.document(name.digest or name.tag, _ACCEPT)
    _check(document, name.digest)
    if not is_index(document):
        return document, None
    chosen = choose(decode(document, Index, "the registry's index")).name
    manifest = registry.document(chosen, _ACCEPT)
    _check(manifest, chosen)
    return manifest, document


def _check(document: bytes, promised: Digest | None) -> None:
    if promised not in (None, digest_of(document)):
        raise ImageError(f"the registry's document {promised} has another content than its name says")


class _Progress:
    """Tells how much of a pull has come, each tenth of it; several threads count."""

    def __init__(self, size: int, report: Callable[[str], None]) -> None:
        self._size = size
        self._report = report
        self._come = self._told = 0
        self._counting = threading.Lock()

    def count(self, size: int) -> None:
        """So many bytes more are there; fewer, where something has to come once more."""
        with self._counting:
            self._come += size
            tenths = self._come * 10 // max(self._size, 1)
            if tenths > self._told:
                self._told = tenths
                self._report(f"{tenths * 10} % of {format_bytes(self._size)} fetched")


def _fetch(registry: Registry, blob: Descriptor, cache: Path, progress: _Progress) -> Path:
    """Have a blob's file, all of it and as its name says."""
    file, part = cache / hex_of(blob.name), cache / f"{hex_of(blob.name)}.part"
    try:
        if file.exists():
            progress.count(blob.size)
        else:
            _fetch_all(registry, blob, part, progress)
            part.rename(file)
    except OSError as error:
        raise HostError(f"cannot keep what comes in {cache}: {error.strerror or error}") from error
    return file


def _fetch_all(registry: Registry, blob: Descriptor, part: Path, progress: _Progress) -> None:
    if part.exists():
        progress.count(part.stat().st_size)
    for attempt in range(_ATTEMPTS):
        time.sleep(_PAUSE_SECONDS * attempt)
        if _fetch_more(registry, blob, part, progress):
            break
    else:
        text = f"{part.stat().st_size} of {blob.size} bytes have come; the next attempt goes on there"
        raise ImageError(f"the registry {registry.name} broke off {_ATTEMPTS} times: {text}")
    if _hash(part) != hex_of(blob.name):
        part.unlink()
        raise ImageError(f"the registry's {blob.name} has another content than its name says")


def _fetch_more(registry: Registry, blob: Descriptor, part: Path, progress: _Progress) -> bool:
    """Fetch what is missing, as far as it comes; whether that is all."""
    with part.open("ab") as target:
        start = target.tell()
        if start > blob.size:
            progress.count(-start)
            start = target.truncate(0)
        if start < blob.size:
            response, goes_on = registry.blob(blob.name, start)
            with response:
                if not goes_on:
                    progress.count(-start)
                    start = target.truncate(0)
                _copy(response, target, blob.size - start, progress)
        size = target.tell() if target.seek(0, os.SEEK_END) else 0
    return size == blob.size


def _copy(
    response: http.client.HTTPResponse, target: io.BufferedWriter, left: int, progress: _Progress
) -> None:
    """At most as much as was promised."""
    while left:
        try:
            piece = response.read(min(_PIECE, left))
        except (OSError, http.client.HTTPException):
            return  # another attempt goes on here
        if not piece:
            return
        target.write(piece)
        progress.count(len(piece))
        left -= len(piece)
    with suppress(OSError, http.client.HTTPException):  # all that was promised is there
        if response.read(1):
            raise ImageError("the registry sends more than the manifest says")


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def archive_of(pulled: Pulled, name: str) -> Iterator[bytes]:
    """An OCI image layout as a tar archive, in pieces."""
    documents = [pulled.manifest, *([pulled.chosen_from] if pulled.chosen_from else [])]
    entry = {
        "mediaType": _INDEX if pulled.chosen_from else _MANIFEST,
        "digest": digest_of(documents[-1]),
        "size": len(documents[-1]),
        "annotations": {"org.opencontainers.image.ref.name": name},
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    yield _member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    yield _member("index.json", index)
    for document in documents:
        yield _member(f"blobs/sha256/{hex_of(digest_of(document))}", document)
    for digest, file in pulled.blobs.items():
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            yield _header(f"blobs/sha256/{hex_of(digest)}", size)
            while piece := opened.read(_PIECE):
                yield piece
            yield bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.PAX_FORMAT)


def _member(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)
