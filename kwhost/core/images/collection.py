"""Removing what no name refers to and nobody uses any more."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from kwhost.core.errors import ImageError
from kwhost.core.images.digests import Digest, hex_of, parse_digest
from kwhost.core.images.records import read_record
from kwhost.core.images.store import ImageStore, telling_full_disk

__all__ = ["collect", "count_references", "in_use"]


def count_references(store: ImageStore) -> dict[Digest, int]:
    """How many names of all owners each blob serves. Raises ImageError."""
    named = Counter(name.digest for owner in store.owners() for name in store.names(owner).values())
    counts: Counter[Digest] = Counter()
    for digest, names in named.items():
        for blob in read_record(store, digest).blobs():
            counts[blob] += names
    return counts


def in_use(store: ImageStore, instances: Iterable[Path]) -> set[Digest]:
    """Images that an instance has or is about to have. `instances`: files that each name one."""
    used = set()
    for file in store.pins.iterdir():
        with suppress(ImageError):
            digest = parse_digest(f"sha256:{file.name}")
            if store.is_pinned(digest):
                used.add(digest)
    for file in instances:
        with suppress(ImageError, OSError):
            used.add(parse_digest(file.read_text(encoding="ascii")))
    return used


def collect(store: ImageStore, instances: Iterable[Path] = ()) -> int:
    """Remove it; the bytes of blobs that went. While somebody adds an image nothing is removed, and a later
    collection will. Raises ImageError where what is used cannot be told, HostError."""
    with store.collecting() as free:
        if not free:
            return 0
        kept = set(count_references(store))
        for digest in in_use(store, instances):
            with suppress(ImageError):  # the pin of an image that was removed long ago
                kept |= set(read_record(store, digest).blobs())
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
