"""What instances of tenants with `private_images` have instead of images' shared layers."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import trio

from kwhost.core.errors import Conflict, UsageError
from kwhost.core.images.digests import parse_digest
from kwhost.core.images.records import read_record
from kwhost.core.images.service import Images
from kwhost.core.images.volumes import check_within
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.status import InstanceState
from kwhost.core.model.tenant import Tenant
from kwhost.core.storage.private_images import PrivateImages
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.admission import check_storage

__all__ = ["HostedPrivateImages"]


class HostedPrivateImages:
    """`records` and `quota` are for whoever knows instances and tenants to set: all instances, and what a
    tenant has in use of its storage, these copies too, and what there is of it."""

    def __init__(self, private: PrivateImages, images: Images) -> None:
        self._private = private
        self._images = images
        self._sizes: dict[tuple[TenantName, str], int] = {}
        self._changing: dict[TenantName, trio.Lock] = defaultdict(trio.Lock)
        # Copies that take long keep no threads of others.
        self._making: dict[TenantName, trio.CapacityLimiter] = defaultdict(partial(trio.CapacityLimiter, 1))
        self.records: Callable[[], Iterable[InstanceRecord]] = tuple
        self.quota: Callable[[TenantName], tuple[int, int | None]] = lambda _tenant: (0, None)

    async def load(self) -> None:
        """Find those that there are; before anything else. Raises HostError."""
        self._sizes = await trio.to_thread.run_sync(self._private.sizes)

    async def repair(self) -> None:
        """Take away what an earlier daemon left. Raises HostError, ImageError."""
        await trio.to_thread.run_sync(self._private.repair)
        for tenant in {tenant for tenant, _ in self._sizes}:
            await self.collect(tenant)

    def promised(self, tenant: TenantName) -> int:
        """The bytes that a tenant's copies have."""
        return sum(size for (whose, _), size in self._sizes.items() if whose == tenant)

    def tenants_of(self, digest: str) -> tuple[TenantName, ...]:
        """Who has a copy of an image."""
        return tuple(sorted(tenant for tenant, known in self._sizes if known == digest))

    async def lower(
        self,
        tenant: Tenant,
        record: InstanceRecord,
        digest: str,
        layers: Sequence[str],
        *,
        is_wanted: Callable[[], bool],
    ) -> str:
        """What an overlay of the tenant's is to be over, made where it is not there; "" for a directory that
        is the tenant's own already. Raises KwhostError."""
        definition = record.definition
        if definition.rootfs is not None:
            check_within(layers[0], tenant.binds, definition.rootfs)
            return ""
        if not digest:
            raise UsageError(
                f"tenant {tenant.name} has private_images, and the image {definition.image} cannot be "
                "copied: it is not of kwhost's own store"
            )

        def look() -> None:
            if not is_wanted():
                raise Conflict(f"{record.name} was stopped before its image was copied")

        async with self._changing[tenant.name]:
            files = await trio.to_thread.run_sync(self._private.files, tenant.name, digest)
            if files is None:
                await self._collect(tenant.name, record.id)
                files = await self._make(tenant.name, digest, layers, look)
            return str(files)

    async def _make(
        self, tenant: TenantName, digest: str, layers: Sequence[str], look: Callable[[], object]
    ) -> Path:
        """It counts from the beginning on."""
        record = await trio.to_thread.run_sync(read_record, self._images.store, parse_digest(digest))
        used, quota = self.quota(tenant)
        check_storage(tenant, used, quota, "its private copy of the image", record.size)
        most = None if quota is None else quota - used
        make = partial(self._private.make, tenant, digest, layers, look, most)
        self._sizes[tenant, digest] = record.size
        try:
            files, self._sizes[tenant, digest] = await trio.to_thread.run_sync(
                make, limiter=self._making[tenant]
            )
        except BaseException:
            del self._sizes[tenant, digest]
            raise
        return files

    async def collect(self, tenant: TenantName) -> None:
        """Remove a tenant's copies that none of its instances has. Raises HostError, ImageError."""
        if self.promised(tenant):
            async with self._changing[tenant]:
                await self._collect(tenant)

    async def _collect(self, tenant: TenantName, starting: InstanceId | None = None) -> None:
        of = [record for record in self.records() if record.tenant == tenant]
        if any(record.state is InstanceState.STARTING and record.id != starting for record in of):
            return  # what it is about to have is not noted yet; whoever ends later collects
        # What starts from now on waits for us before it is given one.
        uses = await trio.to_thread.run_sync(self._images.uses)
        used = {uses.get(record.id) for record in of}
        for whose, digest in list(self._sizes):
            if whose == tenant and digest not in used:
                await trio.to_thread.run_sync(self._private.remove, tenant, digest)
                del self._sizes[whose, digest]
