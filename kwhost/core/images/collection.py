"""Removing what no name refers to and nobody uses any more."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from kwhost.core.errors import ImageError
from kwhost.core.images.contents import Contents, read_contents
from kwhost.core.images.digests import Digest, hex_of, parse_digest
from kwhost.core.images.store import ImageStore, telling_full_disk

__all__ = ["collect", "images_of", "in_use"]


def _named(store: ImageStore) -> set[Digest]:
    return {named.digest for owner in store.owners() for named in store.names(owner).values()}


def in_use(store: ImageStore, instances: Iterable[Path]) -> set[Digest]:
    """Images that an instance has or is about to have. `instances`: files that each name one."""
    used = set()
    for file in store.pins.iterdir():
        with suppress(ImageError):
            digest = parse_digest(f"sha256:{file.name}")
            if store.is_pinned(digest):
                used.add(digest)
    return used | images_of(instances)


def images_of(instances: Iterable[Path]) -> set[Digest]:
    """Images that instances have. `instances`: files that each name one."""
    found = set()
    for file in instances:
        with suppress(ImageError, OSError, ValueError):
            found.add(parse_digest(file.read_text(encoding="ascii")))
    return found


class _Known:
    """What images consist of; each is looked at once."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._contents: dict[Digest, Contents] = {}

    def blobs_of(self, image: Digest) -> Iterable[Digest]:
        """Raises ImageError."""
        if image not in self._contents:
            self._contents[image] = read_contents(self._store.images, image)
        return self._contents[image].blobs


def collect(store: ImageStore, instances: Iterable[Path] = ()) -> int:
    """Remove it; the bytes of blobs that went. While somebody adds an image nothing is removed, and a later
    collection will. Raises ImageError where what is used cannot be told, HostError."""
    known = _Known(store)
    for image in _named(store):  # before anybody has to wait: there may be many
        with suppress(ImageError):  # removed meanwhile
            known.blobs_of(image)
    with store.collecting() as free:
        if not free:
            return 0
        kept = {blob for image in _named(store) for blob in known.blobs_of(image)}
        for image in in_use(store, instances):
            with suppress(ImageError):  # the pin of an image that was removed long ago
                kept.update(known.blobs_of(image))
        names = {hex_of(digest) for digest in kept}
        with telling_full_disk("remove what is left of images"):
            freed = _put_away(store, names)
    store.empty_removed()
    return freed


def _put_away(store: ImageStore, kept: set[str]) -> int:
    """Whoever is killed here leaves nothing that is there in part: a layer that is there has all its files,
    what is known about it, and its blob."""
    freed = 0
    for directory in (store.images, store.layers, store.pins, store.ingest, store.blobs):
        for path in sorted(directory.iterdir()):  # a layer's directory before what is known about it
            if path.name.removesuffix(".json") in kept:
                continue
            if directory == store.blobs:
                freed += path.lstat().st_size
            store.put_away(path)
    return freed
