"""Images of the store, as an instance's root: the layers beneath an overlay, shared by all that have them."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import ImageError, NotFound
from kwhost.core.images.digests import Digest, hex_of, parse_digest
from kwhost.core.images.names import parse_name
from kwhost.core.images.records import read_record
from kwhost.core.images.store import ImageStore, Named, Owner
from kwhost.core.images.system_dirs import system_mounts
from kwhost.core.model.image import ImageSettings, ListedImage, StoredImage
from kwhost.core.model.mounts import Mount, MountFlag, MountKind

__all__ = ["StoredPlan", "describe", "find_name", "list_names", "plan_stored"]

_SHORT_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")


class StoredPlan(NamedTuple):
    """How the root is made, where the image's accounts are, and what it says about running it. `pin` keeps
    the image from being removed as long as it is open."""

    mounts: tuple[Mount, ...]
    accounts_root: str
    settings: ImageSettings
    digest: Digest
    pin: int


def find_name(store: ImageStore, owner: Owner, reference: str) -> tuple[str, Owner, Named]:
    """The name that a reference means, of those that the owner may use: NAME[:TAG], or 12 or more digits of
    the digest. Raises NotFound, UsageError."""
    visible = store.visible(owner)
    if short := _SHORT_DIGEST.fullmatch(reference):
        for name, (whose, named) in visible.items():
            if any(
                hex_of(digest).startswith(short[1]) for digest in (named.digest, named.chosen_from) if digest
            ):
                return name, whose, named
    wanted = parse_name(reference)
    if wanted.familiar in visible:
        whose, named = visible[wanted.familiar]
        if wanted.digest is None or named.has(wanted.digest):
            return wanted.familiar, whose, named
    for name, (whose, named) in visible.items():
        if wanted.digest and named.has(wanted.digest) and parse_name(name)[:2] == wanted[:2]:
            return name, whose, named
    raise NotFound(f"there is no image {reference[:200]!r} here; kwhost image ls lists what there is")


def plan_stored(store: ImageStore, owner: Owner, reference: str, digest: str = "") -> StoredPlan:
    """With a digest, that of an image which the instance has already, no name is looked up. Raises NotFound,
    ImageError, UsageError, HostError."""
    if ":" in str(store.path):
        raise ImageError(f"images cannot be used from {store.path}: its path must not contain ':'")
    with store.using():
        manifest = parse_digest(digest) if digest else find_name(store, owner, reference)[2].digest
        record = read_record(store, manifest)
        pin = store.pin(manifest)
    # Overlayfs takes no layer twice; what a lower one of two equal ones has, the upper one has, too.
    different = dict.fromkeys(reversed(record.layers))
    layers = ":".join(str(_real(store.layers) / hex_of(layer)) for layer in different)
    flags = MountFlag.ID_MAPPED | MountFlag.NO_LINKS
    return StoredPlan(
        mounts=(Mount(MountKind.OVERLAY, "/", layers, flags), *system_mounts()),
        accounts_root=str(store.images / hex_of(record.manifest)),
        settings=record.settings,
        digest=record.manifest,
        pin=pin,
    )


def _real(path: Path) -> Path:
    """The jail follows no links on the way to a layer."""
    return path.resolve()


def describe(store: ImageStore, name: str, owner: Owner, named: Named) -> StoredImage:
    """All about one name. Raises ImageError."""
    record = read_record(store, parse_digest(named.digest))
    return StoredImage(
        name=name,
        digest=named.digest,
        index=named.chosen_from,
        tenant=owner,
        size=record.size,
        layers=record.layers,
        added=named.added,
        created=record.created,
        settings=record.settings,
    )


def list_names(store: ImageStore, names: Iterable[tuple[str, Owner, Named]]) -> tuple[ListedImage, ...]:
    """What lists have of names. Raises ImageError."""
    known: dict[Digest, ListedImage] = {}  # each record is read once, and let go
    listed = []
    for name, owner, named in names:
        if named.digest not in known:
            known[named.digest] = describe(store, name, owner, named).listed()
        image = known[named.digest]
        listed.append(replace(image, name=name, tenant=owner, added=named.added, index=named.chosen_from))
    return tuple(listed)
