"""What an archive of images contains, once it is unpacked: an OCI image layout, or what `docker save` writes.

The directory is hostile: every path in it is resolved with the directory as the root, by the kernel.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, NamedTuple

from kwhost.core.abi.openat2 import open_in_root
from kwhost.core.errors import ImageError, UsageError
from kwhost.core.images.digests import Digest, hash_file, hex_of, parse_digest
from kwhost.core.images.documents import (
    DOCUMENT_MAX,
    Descriptor,
    DockerArchive,
    Index,
    Manifest,
    decode,
    is_index,
)
from kwhost.core.images.names import parse_name
from kwhost.core.images.platforms import choose

__all__ = ["ArchivedImage", "Directory", "read_layout"]

_NAME_KEYS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
# What programs put before a name that has no registry, behind the one of their choice.
_OFFICIAL = "library/"
_IMAGES_MAX = 100
_NESTED_MAX = 3


class ArchivedImage(NamedTuple):
    """One image: where its configuration and its layers are, from the lowest up, with the digests that are
    promised; `manifest` is its own, where it has one, and `chosen_from` the digest of the index that led
    to it; `names` are what the archive calls it."""

    config: tuple[str, Digest | None]
    layers: tuple[tuple[str, Digest | None], ...]
    names: tuple[str, ...]
    manifest: bytes | None = None
    chosen_from: Digest | None = None


class Directory:
    """An unpacked archive. Raises ImageError."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._digests: dict[tuple[int, int], Digest] = {}

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """A plain file, opened."""
        try:
            fd = open_in_root(self._fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            raise ImageError(f"the archive has no {path[:200]!a}: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise ImageError(f"the archive's {path[:200]!a} is no file")
        with os.fdopen(fd, "rb", buffering=0) as file:
            yield file

    def digest(self, file: BinaryIO) -> Digest:
        """Of an opened file of it. A content is read once, however often the archive names it."""
        status = os.fstat(file.fileno())
        key = status.st_dev, status.st_ino
        if key not in self._digests:
            self._digests[key] = hash_file(file)
        return self._digests[key]

    def document(self, path: str) -> bytes:
        """A small file's content."""
        with self.open(path) as file:
            content = file.read(DOCUMENT_MAX + 1)
        if len(content) > DOCUMENT_MAX:
            raise ImageError(f"the archive's {path[:200]!a} is larger than {DOCUMENT_MAX} bytes")
        return content

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            with self.open(path):
                return True
        except ImageError:
            return False


def read_layout(directory: Directory) -> tuple[int, Iterator[ArchivedImage]]:
    """How many images an archive has, and each of them: the documents of one, which may be large, are read
    when it comes. Raises ImageError, as the iterator does."""
    if directory.has("manifest.json"):
        count, images = _docker_images(directory)
    elif directory.has("index.json"):
        count, images = _oci_images(directory)
    else:
        text = (
            "it has neither index.json nor manifest.json; a root file system is taken by kwhost image import"
        )
        raise ImageError(f"the archive is none of an image: {text}")
    if not 1 <= count <= _IMAGES_MAX:
        raise ImageError(f"the archive has {count} images; 1 to {_IMAGES_MAX} are taken")
    return count, images


def _docker_images(directory: Directory) -> tuple[int, Iterator[ArchivedImage]]:
    entries = decode(directory.document("manifest.json"), list[DockerArchive], "the archive's manifest.json")
    return len(entries), map(_docker_image, entries)


def _docker_image(entry: DockerArchive) -> ArchivedImage:
    return ArchivedImage(
        config=(entry.config, None),
        layers=tuple((layer, None) for layer in entry.layers),
        names=_valid_names(entry.repo_tags or []),
    )


def _blob(descriptor: Descriptor) -> tuple[str, Digest]:
    return f"blobs/sha256/{hex_of(descriptor.name)}", descriptor.name


def _oci_images(directory: Directory) -> tuple[int, Iterator[ArchivedImage]]:
    index = decode(directory.document("index.json"), Index, "the archive's index.json")
    return len(index.manifests), map(partial(_oci_image, directory), index.manifests)


def _oci_image(directory: Directory, descriptor: Descriptor) -> ArchivedImage:
    annotations = descriptor.annotations or {}
    names = _valid_names([annotations[key] for key in _NAME_KEYS if key in annotations])
    first = descriptor.name
    for _ in range(_NESTED_MAX):
        document = directory.document(_blob(descriptor)[0])
        _check(document, descriptor.name)
        if not is_index(document):
            break
        descriptor = choose(decode(document, Index, "the archive's index"))
    else:
        raise ImageError("the archive's indices refer to each other too often")
    manifest = decode(document, Manifest, "the archive's manifest")
    manifest.check_layers()
    return ArchivedImage(
        config=_blob(manifest.config),
        layers=tuple(map(_blob, manifest.layers)),
        names=names[:1],
        manifest=document,
        chosen_from=first if first != descriptor.name else None,
    )


def _check(document: bytes, digest: Digest) -> None:
    import hashlib

    if hashlib.sha256(document).hexdigest() != hex_of(parse_digest(digest)):
        raise ImageError(f"the archive's document {digest} has another content than its name says")


def _valid_names(texts: list[str]) -> tuple[str, ...]:
    """Those that are names in full; an OCI layout may have a tag alone, or anything."""
    names = []
    for text in texts:
        try:
            name = parse_name(text)
        except UsageError:
            continue
        if name.registry and name.repository.startswith(_OFFICIAL):
            name = name._replace(registry="", repository=name.repository.removeprefix(_OFFICIAL))
        if ":" in text.rpartition("/")[2] and name.digest is None:
            names.append(name.familiar)
    return tuple(dict.fromkeys(names))
