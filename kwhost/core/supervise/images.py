"""The images of a daemon: what the store does, in threads, and what comes over the API, kept until it is all
there."""

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import trio

from kwhost.core.errors import ImageError, QuotaExceeded
from kwhost.core.images.allowance import archive_bound
from kwhost.core.images.service import Images
from kwhost.core.images.store import OPERATOR, Owner
from kwhost.core.model.ids import TenantName
from kwhost.core.model.image import ListedImage, StoredImage
from kwhost.core.model.units import format_bytes
from kwhost.core.supervise.admission import check_storage

if TYPE_CHECKING:
    from kwhost.core.store.records import InstanceRecord

__all__ = ["ArchiveKind", "HostedImages", "ImageHosting"]

# At once: each needs a processor and writes to the disk as fast as it goes.
_ADDING_MAX = 2
# Of an owner's at once.
_THREADS_MAX = 4
# For an archive to come.
_COMING_SECONDS = 4 * 3600.0

_Result = TypeVar("_Result")


class ArchiveKind(Enum):
    """What an archive has: images, or a root file system that becomes one."""

    IMAGES = "images"
    ROOT = "root"


class ImageHosting(Protocol):
    """Images of tenants, and of the operator (None), who shares them with all."""

    async def list(self, owner: Owner) -> tuple[ListedImage, ...]:
        """What the owner may use, by name; instances that have it are those of the owner (None: of all).
        Raises ImageError."""

    async def list_all(self, tenants: Collection[TenantName] | None) -> tuple[ListedImage, ...]:
        """All own images of these tenants and of the operator; None: of everybody. Raises ImageError."""

    async def inspect(self, owner: Owner, reference: str) -> StoredImage:
        """One image. Raises NotFound, ImageError, UsageError."""

    async def remove(self, owner: Owner, reference: str) -> StoredImage:
        """Forget a name of the owner's own; what no other name and no instance needs goes with it, and who
        still has it is told. Raises as `inspect`, and HostError."""

    async def prune(self, owner: Owner) -> tuple[ListedImage, ...]:
        """Forget the owner's own names that no instance needs; what they were. Raises as `remove`."""

    async def add(
        self, owner: Owner, kind: ArchiveKind, name: str | None, archive: AsyncIterator[bytes]
    ) -> tuple[ListedImage, ...]:
        """Add what an archive has: all of it, or nothing. Raises ImageError, UsageError, HostError,
        QuotaExceeded."""


class HostedImages:
    """See ImageHosting. `records` and `quota` are as in HostedVolumes."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._threads: dict[Owner | tuple[Owner, ...], trio.CapacityLimiter] = defaultdict(
            partial(trio.CapacityLimiter, _THREADS_MAX)
        )
        self._sizes: dict[Owner, int] = {}
        self._coming: dict[Owner, int] = defaultdict(int)
        self.records: Callable[[], Iterable[InstanceRecord]] = tuple
        self.quota: Callable[[TenantName], tuple[int, int | None]] = lambda _tenant: (0, None)
        self.private: Callable[[str], tuple[TenantName, ...]] = lambda _digest: ()  # who has a copy
        self._adding = trio.CapacityLimiter(_ADDING_MAX)
        # Whoever sends slowly keeps nobody else waiting.
        self._sending: dict[Owner, trio.CapacityLimiter] = defaultdict(partial(trio.CapacityLimiter, 1))

    async def _call(self, who: Owner | tuple[Owner, ...], operation: Callable[[], _Result]) -> _Result:
        """Whoever has to wait for something keeps few of the daemon's threads."""
        return await trio.to_thread.run_sync(operation, limiter=self._threads[who])

    async def load(self) -> None:
        """Find out what everybody has; once all instances are known, before anything else. Raises
        ImageError."""
        owners = await self._call(None, self._images.store.owners)
        for owner in {*owners, *(record.tenant for record in self.records())}:
            await self._count(owner)

    def promised(self, tenant: TenantName) -> int:
        """The bytes that a tenant's images take, with what is being added."""
        return self._sizes.get(tenant, 0) + self._coming[tenant]

    def _take(self, owner: Owner, size: int) -> int | None:
        """See images.allowance."""
        if owner is None:
            return None
        used, quota = self.quota(owner)
        check_storage(owner, used, quota, "the image", size)
        self._coming[owner] += size
        return None if quota is None else quota - used - size

    async def _count(self, owner: Owner) -> None:
        """What the owner has may have changed."""
        if owner is not None:
            instances = [record.id for record in self.records() if record.tenant == owner]
            self._sizes[owner] = await self._call(owner, lambda: self._images.size(owner, instances))

    async def list(self, owner: Owner) -> tuple[ListedImage, ...]:
        """See ImageHosting."""
        found = await self._call(owner, lambda: self._images.list(owner))
        return await self._counted(found, None if owner is None else (owner,))

    async def list_all(self, tenants: Collection[TenantName] | None) -> tuple[ListedImage, ...]:
        """See ImageHosting."""
        owners = None if tenants is None else (OPERATOR, *tenants)
        found = await self._call(owners, lambda: self._images.list_all(owners))
        return await self._counted(found, tenants)

    async def inspect(self, owner: Owner, reference: str) -> StoredImage:
        """See ImageHosting."""
        found = await self._call(owner, lambda: self._images.inspect(owner, reference))
        return await self._with_instances(found, owner)

    async def _counted(
        self, images: tuple[ListedImage, ...], tenants: Collection[TenantName] | None
    ) -> tuple[ListedImage, ...]:
        users = await self._users(tenants)
        return tuple(image.with_instances(users.get(image.digest, ())) for image in images)

    async def _with_instances(self, image: StoredImage, owner: Owner) -> StoredImage:
        users = await self._users(None if owner is None else (owner,))
        private = tuple(each for each in self.private(image.digest) if owner in (None, each))
        return image.with_instances(sorted(users.get(image.digest, ()))).with_private(private)

    async def _users(self, tenants: Collection[TenantName] | None) -> Mapping[str, Sequence[str]]:
        """The instances that are made of each image, of these tenants or of all."""
        uses = await self._call(None if tenants is None else tuple(tenants), self._images.uses)
        names = defaultdict(list)
        for record in self.records():
            if tenants is None or record.tenant in tenants:
                names[uses.get(record.id, "")].append(f"{record.tenant}/{record.name}")
        return names

    async def remove(self, owner: Owner, reference: str) -> StoredImage:
        """See ImageHosting."""
        removed = await self._call(owner, lambda: self._images.remove(owner, reference))
        await self._count(owner)
        return await self._with_instances(removed, owner)

    async def prune(self, owner: Owner) -> tuple[ListedImage, ...]:
        """See ImageHosting."""
        wanted = {record.definition.image for record in self.records()}
        removed = await self._call(owner, lambda: self._images.prune(owner, wanted))
        await self._count(owner)
        return removed

    async def let_go(self, tenant: TenantName, digest: str) -> None:
        """An instance of a tenant's that had an image is no more. Raises ImageError, HostError."""
        await self._call(None, lambda: self._images.let_go(digest))
        await self._count(tenant)

    async def repair(self) -> None:
        """Remove what a daemon left that was killed while it added or removed an image. Raises ImageError,
        HostError."""
        await self._call(None, self._images.repair)

    async def add(
        self, owner: Owner, kind: ArchiveKind, name: str | None, archive: AsyncIterator[bytes]
    ) -> tuple[ListedImage, ...]:
        """See ImageHosting."""
        async with self._sending[owner]:
            await self._count(owner)  # an instance may have another image since
            left = self._take(owner, 0)
            if left == 0:
                raise QuotaExceeded(
                    f"tenant {owner} has all of its storage in use: none is left for an image"
                )
            most = archive_bound(left, 0 if owner is None else self.promised(owner))
            with self._images.spooling() as (file, write):
                await _keep(archive, write, most)
                os.lseek(file, 0, os.SEEK_SET)
                async with self._adding:
                    return await self._add(owner, kind, name, file)

    async def _add(
        self, owner: Owner, kind: ArchiveKind, name: str | None, file: int
    ) -> tuple[ListedImage, ...]:
        def take(size: int) -> int | None:
            return trio.from_thread.run_sync(self._take, owner, size)

        def add() -> tuple[ListedImage, ...]:
            if kind is ArchiveKind.ROOT:
                return self._images.import_root(owner, file, name or "", take=take)
            return self._images.load(owner, file, name, take=take)

        try:
            return await self._call(owner, add)
        finally:
            with trio.CancelScope(shield=True):
                try:
                    await self._count(owner)
                finally:
                    self._coming[owner] = 0


async def _keep(archive: AsyncIterator[bytes], write: Callable[[bytes], None], most: int | None) -> None:
    """Raises QuotaExceeded where more than `most` bytes come."""
    come = 0
    with trio.move_on_after(_COMING_SECONDS) as slow:
        async for piece in archive:
            come += len(piece)
            if most is not None and come > most:
                raise QuotaExceeded(
                    f"the archive has more than {format_bytes(most)}: it cannot fit into what is left of the "
                    "tenant's storage"
                )
            await trio.to_thread.run_sync(write, piece)
    if slow.cancelled_caught:
        raise ImageError(f"the archive did not come within {_COMING_SECONDS / 3600:g} hours")
