"""What can be done with the images of one state directory, for a daemon and for commands without one.

Every call blocks, and raises KwhostError.
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kwhost.core.errors import ImageError, NotFound, UsageError
from kwhost.core.images.accounts import read_accounts
from kwhost.core.images.allowance import Allowance, Take, unbounded
from kwhost.core.images.collection import collect, images_of, in_use
from kwhost.core.images.contents import read_contents
from kwhost.core.images.deadline import LOAD_SECONDS, Deadline
from kwhost.core.images.digests import hex_of, parse_digest
from kwhost.core.images.image import Image
from kwhost.core.images.records import read_record
from kwhost.core.images.room import Watch
from kwhost.core.images.store import OPERATOR, ImageStore, Owner, telling_full_disk
from kwhost.core.images.stored import describe, find_name, list_names, plan_stored
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.image import ListedImage, StoredImage

if TYPE_CHECKING:
    from kwhost.core.images.loading import ImageWork
    from kwhost.core.images.unpackers import LeaseIds, Unpackers

__all__ = ["Images", "kept_image", "stored_image"]

Report = Callable[[str], None]


def _silent(_line: str) -> None:
    pass


class Images:
    """`lease_ids` gives the ids that an archive is unpacked with, for which there are so many `seconds`."""

    def __init__(self, state_dir: Path, lease_ids: "LeaseIds") -> None:
        self.store = ImageStore(state_dir / "images")
        self._instances = state_dir / "instances"
        self._lease_ids = lease_ids
        self.seconds = LOAD_SECONDS

    def load(
        self,
        owner: Owner,
        archive: int,
        name: str | None,
        report: Report = _silent,
        take: Take = unbounded,
    ) -> tuple[ListedImage, ...]:
        """Add the images of an opened docker-archive or oci-archive."""
        with self._unpackers() as unpackers:
            from kwhost.core.images.loading import load_archive  # brings msgspec

            work = self._work(owner, unpackers, report, take)
            return self._added(owner, lambda: load_archive(work, archive, name))

    def import_root(
        self, owner: Owner, archive: int, name: str, report: Report = _silent, take: Take = unbounded
    ) -> tuple[ListedImage, ...]:
        """Add an image out of the opened archive of a root file system."""
        with self._unpackers() as unpackers:
            from kwhost.core.images.loading import import_root

            work = self._work(owner, unpackers, report, take)
            return self._added(owner, lambda: import_root(work, archive, name))

    @contextmanager
    def _unpackers(self) -> "Iterator[Unpackers]":
        """The first begins while this process loads what it needs itself."""
        from kwhost.core.images.unpackers import Unpackers

        with Unpackers(self._lease_ids) as unpackers:
            unpackers.prepare()
            yield unpackers

    def _work(self, owner: Owner, unpackers: "Unpackers", report: Report, take: Take) -> "ImageWork":
        from kwhost.core.images.loading import ImageWork

        own = {} if take is unbounded else self.store.content(owner)
        allowance = Allowance(owner, own, take)
        return ImageWork(self.store, owner, unpackers, allowance, Deadline(self.seconds), report)

    @contextmanager
    def spooling(self) -> Iterator[tuple[int, Callable[[bytes], None]]]:
        """A file for an archive that comes in pieces, and what adds one, as long as there is room; it goes by
        itself."""
        self.store.make()
        with telling_full_disk("keep an archive"):
            file = os.open(self.store.ingest, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        watch = Watch(self.store.ingest)

        def write(piece: bytes) -> None:
            watch.written(len(piece))
            with telling_full_disk("keep an archive"):
                while piece:
                    piece = piece[os.write(file, piece) :]

        try:
            yield file, write
        finally:
            os.close(file)

    def _added(self, owner: Owner, add: Callable[[], Iterable[str]]) -> tuple[ListedImage, ...]:
        try:
            names = add()
        finally:
            self.collect()  # what came before a failure, or what a name meant until now
        own = self.store.names(owner)
        return list_names(self.store, ((name, owner, own[name]) for name in names if name in own))

    def list(self, owner: Owner) -> tuple[ListedImage, ...]:
        """The images that the owner may use, by name."""
        visible = sorted(self.store.visible(owner).items())
        return list_names(self.store, ((name, whose, named) for name, (whose, named) in visible))

    def list_all(self, owners: Collection[Owner] | None) -> tuple[ListedImage, ...]:
        """The images of these owners, or of all, each with its own names."""
        names = (
            (name, owner, named)
            for owner in self.store.owners()
            if owners is None or owner in owners
            for name, named in sorted(self.store.names(owner).items())
        )
        return list_names(self.store, names)

    def size(self, owner: Owner, instances: Iterable[InstanceId]) -> int:
        """The bytes that an owner's images take, each part once: those with names of its own, and what these
        instances of its have besides, unless the operator has a name for it."""
        content = self.store.content(owner)
        shared = {named.digest for named in self.store.names(OPERATOR).values()}
        for digest in images_of(self._instances / each / "image" for each in instances) - shared:
            with suppress(ImageError):  # whoever uses a damaged image is told
                content |= read_contents(self.store.images, digest).blobs
        return sum(content.values())

    def uses(self) -> dict[str, str]:
        """The digest of the image that each instance has, by the instances' ids."""
        found = {}
        for file in self._instances.glob("*/image"):
            with suppress(OSError, ValueError):
                found[file.parent.name] = file.read_text(encoding="ascii")
        return found

    def inspect(self, owner: Owner, reference: str) -> StoredImage:
        """One image."""
        name, whose, named = find_name(self.store, owner, reference)
        return describe(self.store, name, whose, named)

    def remove(self, owner: Owner, reference: str) -> StoredImage:
        """Forget one of the owner's own names, and remove what nobody else has or uses of the image."""
        name, whose, named = find_name(self.store, owner, reference)
        if whose != owner:
            raise NotFound(f"the image {name} is the operator's, who alone may remove it")
        image = describe(self.store, name, whose, named)
        self.store.remove_name(owner, name)
        self.collect()
        return image

    def prune(self, owner: Owner, configured: Collection[str]) -> tuple[ListedImage, ...]:
        """Forget the owner's own names of images that no instance has, or is `configured` with; what they
        were. What was left by whoever was killed goes, too."""
        self.store.make()
        used = in_use(self.store, self._instances.glob("*/image"))
        for reference in configured:
            with suppress(NotFound, UsageError):  # another owner's, or a plugin's
                used.add(find_name(self.store, owner, reference)[2].digest)
        own = sorted(self.store.names(owner).items())
        unused = [(name, owner, named) for name, named in own if named.digest not in used]
        removed = list_names(self.store, unused)
        for image in removed:
            self.store.remove_name(owner, image.name)
        self.collect()
        return removed

    def let_go(self, digest: str) -> None:
        """Remove an image that an instance had, and that has no name any more."""
        owners = self.store.owners()
        if not any(named.digest == digest for owner in owners for named in self.store.names(owner).values()):
            self.collect()

    def repair(self) -> None:
        """Remove what was left by whoever was killed; a host without images has no store, and gets none."""
        if self.store.path.is_dir():
            self.collect()

    def collect(self) -> int:
        """Remove what is not referred to; the bytes of blobs that went."""
        return collect(self.store, self._instances.glob("*/image"))


def kept_image(state_dir: Path, digest: str) -> Image:
    """The image that an instance has already, without the steps that made its root. Raises ImageError."""
    store = ImageStore(state_dir / "images")
    record = read_record(store, parse_digest(digest))
    accounts = read_accounts(str(store.images / hex_of(record.manifest)))
    return Image((), accounts, record.settings, digest)


def stored_image(state_dir: Path, owner: Owner, reference: str) -> Image:
    """An image of the store as an instance's root; the caller closes it. Raises KwhostError."""
    plan = plan_stored(ImageStore(state_dir / "images"), owner, reference)
    try:
        accounts = read_accounts(plan.accounts_root)
    except BaseException:
        os.close(plan.pin)
        raise
    return Image(plan.mounts, accounts, plan.settings, plan.digest, plan.pin)
