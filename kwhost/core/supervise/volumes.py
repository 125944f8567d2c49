"""The volumes of a daemon's tenants: what the store does, in threads, within the tenants' quotas, and for the
starts of instances."""

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import trio

from kwhost.core.errors import Conflict, HostError, KwhostError, NotFound
from kwhost.core.images.filling import fill_volume
from kwhost.core.images.image import Image
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.tenant import Tenant
from kwhost.core.model.tmpfs import by_place
from kwhost.core.model.units import format_bytes
from kwhost.core.model.volume import DEFAULT_VOLUME_SIZE, IMAGE_VOLUME_SIZE, StoredVolume, Volume
from kwhost.core.storage.volume_store import VolumeStore
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.admission import check_storage

__all__ = ["HostedVolumes", "ShownVolumes", "VolumeHosting"]

# Of a tenant's: a thread each, in which a start may wait until a large volume is filled.
_SHOWING_MAX = 4


class ShownVolumes(NamedTuple):
    """All that one instance has, its image's too, in the order in which they are mounted, and where the files
    of the named ones are while it starts. Where owners of `unmapped` cannot be mapped, their files are those
    of `first_id` and on, and so has the instance to be."""

    volumes: tuple[Volume, ...] = ()
    files: Mapping[str, str] = {}
    unmapped: frozenset[str] = frozenset()
    first_id: int | None = None


class VolumeHosting(Protocol):
    """Volumes of tenants."""

    async def list(self, tenant: TenantName) -> tuple[StoredVolume, ...]:
        """All of a tenant's, by name. Raises HostError."""

    async def list_all(self, tenants: Collection[TenantName] | None) -> tuple[StoredVolume, ...]:
        """All of these tenants', or of everybody, but those that are damaged. Raises HostError."""

    async def inspect(self, tenant: TenantName, name: str) -> StoredVolume:
        """One of them, with what is used of it. Raises NotFound, HostError, UsageError."""

    async def create(self, tenant: TenantName, name: str, size: int | None) -> StoredVolume:
        """An empty one; without a size a usual one. Raises Conflict, QuotaExceeded, HostError, UsageError."""

    async def remove(self, tenant: TenantName, name: str) -> StoredVolume:
        """Remove one with its files. Raises NotFound, Conflict where an instance has it, HostError."""

    async def prune(self, tenant: TenantName) -> tuple[StoredVolume, ...]:
        """Remove those that no instance has; what they were. Raises HostError."""


class HostedVolumes:
    """See VolumeHosting. `records` and `quota` are for whoever knows instances and tenants to set: all
    instances, and what a tenant has in use of its storage, these volumes too, and what there is of it."""

    def __init__(self, store: VolumeStore, tell: Callable[[str], Awaitable[None]]) -> None:
        self._store = store
        self._tell = tell
        self._changing = trio.Lock()
        self._sizes: dict[tuple[str, str], int] = {}
        # Whose volumes take long to fill keeps nobody else's threads.
        self._showing: dict[str, trio.CapacityLimiter] = defaultdict(
            partial(trio.CapacityLimiter, _SHOWING_MAX)
        )
        self.records: Callable[[], Iterable[InstanceRecord]] = tuple
        self.quota: Callable[[TenantName], tuple[int, int | None]] = lambda _tenant: (0, None)

    # What there is.

    async def load(self) -> None:
        """Find those that there are; before anything else."""
        volumes, problems = await trio.to_thread.run_sync(self._store.all)
        for problem in problems:
            await self._tell(problem)
        for volume in volumes:
            self._sizes[volume.tenant, volume.name] = volume.size or 0
        for problem in await trio.to_thread.run_sync(self._store.hold_ids):
            await self._tell(problem)
        try:
            await trio.to_thread.run_sync(self._store.choose)  # not when an instance waits for it
        except HostError as error:
            await self._tell(str(error))

    async def repair(self) -> None:
        """Take away what an earlier daemon left. Raises HostError."""
        for problem in await trio.to_thread.run_sync(self._store.repair):
            await self._tell(problem)
        known = frozenset(record.id for record in self.records())
        volumes, _ = await trio.to_thread.run_sync(self._store.all)
        for volume in volumes:
            if volume.instance is not None and volume.instance not in known:
                await self._discard(TenantName(volume.tenant), volume.name)
        await self.count_unbounded()

    async def count_unbounded(self) -> None:
        """What volumes without a size hold now counts for tenants that have a bound."""
        volumes, _ = await trio.to_thread.run_sync(self._store.all)
        for volume in volumes:
            tenant = TenantName(volume.tenant)
            if volume.size is None and self.quota(tenant)[1] is not None:
                try:
                    found = await trio.to_thread.run_sync(self._store.inspect, tenant, volume.name)
                except KwhostError as error:
                    await self._tell(str(error))
                else:
                    await self._count(found)

    async def _count(self, volume: StoredVolume) -> None:
        key, used = (volume.tenant, volume.name), volume.used or 0
        if key in self._sizes:
            self._sizes[key] = used
            await self._tell(
                f"the volume {volume.name} of tenant {volume.tenant} has no size: the {format_bytes(used)} "
                "that it holds now count for the tenant's storage, and nothing keeps it from growing"
            )

    def promised(self, tenant: TenantName) -> int:
        """The bytes that a tenant's volumes have."""
        return sum(size for (whose, _), size in self._sizes.items() if whose == tenant)

    async def list(self, tenant: TenantName) -> tuple[StoredVolume, ...]:
        """See VolumeHosting."""
        found = await trio.to_thread.run_sync(self._store.list, tenant)
        return tuple(self._described(volume) for volume in found)

    async def list_all(self, tenants: Collection[TenantName] | None) -> tuple[StoredVolume, ...]:
        """See VolumeHosting."""
        found, _ = await trio.to_thread.run_sync(self._store.all)
        return tuple(
            self._described(volume) for volume in found if tenants is None or volume.tenant in tenants
        )

    async def inspect(self, tenant: TenantName, name: str) -> StoredVolume:
        """See VolumeHosting."""
        volume = await trio.to_thread.run_sync(self._store.inspect, tenant, name)
        return self._described(volume)

    def _described(self, volume: StoredVolume) -> StoredVolume:
        return volume.with_instances(self._instances_of(volume))

    def _instances_of(self, volume: StoredVolume) -> tuple[str, ...]:
        return tuple(
            record.name
            for record in self.records()
            if record.tenant == volume.tenant
            and (record.id == volume.instance or _has(record.definition.volumes, volume.name))
        )

    # Making and removing.

    async def create(self, tenant: TenantName, name: str, size: int | None) -> StoredVolume:
        """See VolumeHosting."""
        return await self._create(tenant, name, size)

    async def _create(
        self, tenant: TenantName, name: str, size: int | None, instance: InstanceId | None = None
    ) -> StoredVolume:
        async with self._changing:
            if (tenant, name) in self._sizes:
                raise Conflict(f"there is a volume {name} already")
            size = self._store.usual_size(size)
            self._check_quota(tenant, name, size)
            volume = await trio.to_thread.run_sync(self._store.create, tenant, name, size, instance)
            self._sizes[tenant, name] = size or 0
            return volume

    def _check_quota(self, tenant: TenantName, name: str, size: int | None) -> None:
        used, quota = self.quota(tenant)
        if quota is not None and size is None:
            raise HostError(
                f"tenant {tenant} has {format_bytes(quota)} of storage, and what keeps volumes here holds no "
                f"sizes: the volume {name} cannot be made"
            )
        check_storage(tenant, used, quota, f"the volume {name}", size or 0)

    async def remove(self, tenant: TenantName, name: str) -> StoredVolume:
        """See VolumeHosting."""
        try:
            volume = await trio.to_thread.run_sync(self._store.find, tenant, name)
        except NotFound:
            self._sizes.pop((tenant, name), None)
            raise
        if instances := self._instances_of(volume):
            raise Conflict(f"the volume {name} belongs to {', '.join(instances)}: remove the instance first")
        removed = await trio.to_thread.run_sync(self._store.remove, tenant, name)
        self._sizes.pop((tenant, name), None)
        return removed

    async def prune(self, tenant: TenantName) -> tuple[StoredVolume, ...]:
        """See VolumeHosting."""
        removed = []
        for volume in await self.list(tenant):
            with suppress(Conflict, NotFound):  # somebody has begun to use it, or was faster
                removed.append(await self.remove(tenant, volume.name))
        return tuple(removed)

    async def remove_of(self, tenant: TenantName, instance: InstanceId) -> None:
        """An instance is no more: what its image asked for goes with it."""
        for whose, name in list(self._sizes):
            if whose == tenant and name.startswith(f"{instance}."):
                await self._discard(tenant, name)

    async def _discard(self, tenant: TenantName, name: str) -> None:
        try:
            await self.remove(tenant, name)
        except NotFound:
            pass
        except KwhostError as error:  # the next daemon tries again
            await self._tell(str(error))

    # Starts.

    @asynccontextmanager
    async def using(
        self, record: InstanceRecord, tenant: Tenant, image: Image
    ) -> AsyncIterator[ShownVolumes]:
        """What an instance has, until it has started; what is not there is made. Raises KwhostError."""
        of_image = _image_volumes(record, image) if self._store.holds_sizes else ()
        wanted = tuple(sorted((*record.definition.volumes, *of_image), key=lambda volume: volume.target))
        named = [volume for volume in wanted if volume.is_named]
        if not named:  # as most have it: no thread is needed
            yield ShownVolumes(wanted)
            return
        for volume in named:
            await self._ensure(tenant.name, volume, record, is_images=volume in of_image)
        with ExitStack() as held:
            show = partial(self._show, held, tenant.name, named, image)
            files = await trio.to_thread.run_sync(show, limiter=self._showing[tenant.name])
            owned = await trio.to_thread.run_sync(self._first_ids, tenant.name, files)
            unmapped = frozenset(files[name] for name in owned)
            try:
                yield ShownVolumes(wanted, files, unmapped, next(iter(owned.values()), None))
            finally:
                with trio.CancelScope(shield=True):
                    await self._hide(held.pop_all())

    async def _ensure(
        self, tenant: TenantName, volume: Volume, record: InstanceRecord, *, is_images: bool
    ) -> None:
        if (tenant, volume.source) in self._sizes:
            return
        size = IMAGE_VOLUME_SIZE if is_images else DEFAULT_VOLUME_SIZE
        with suppress(Conflict):  # another start was faster
            bound = size if self._store.holds_sizes else None
            await self._create(tenant, volume.source, bound, record.id if is_images else None)

    def _show(
        self, held: ExitStack, tenant: TenantName, named: Sequence[Volume], image: Image
    ) -> dict[str, str]:
        files = {}
        for volume in named:
            if volume.source not in files:
                fill = partial(self._fill, tenant, volume, image)
                files[volume.source] = str(held.enter_context(self._store.using(tenant, volume.source, fill)))
        return files

    def _fill(self, tenant: TenantName, volume: Volume, image: Image, files: Path) -> None:
        first = self._store.find(tenant, volume.source).first_id
        fill_volume(files, image, volume.target, first or 0)

    def _first_ids(self, tenant: TenantName, names: Iterable[str]) -> dict[str, int]:
        """Of those whose owners cannot be mapped."""
        found = {name: self._store.find(tenant, name).first_id for name in names}
        return {name: first for name, first in found.items() if first is not None}

    async def _hide(self, held: ExitStack) -> None:
        """What is left is taken away by the next start with it, or the next daemon."""
        try:
            await trio.to_thread.run_sync(held.close)
        except HostError as error:
            await self._tell(str(error))


def _has(volumes: Iterable[Volume], name: str) -> bool:
    return any(volume.source == name for volume in volumes)


def _image_volumes(record: InstanceRecord, image: Image) -> tuple[Volume, ...]:
    """The image's volumes that the definition says nothing about, by names that no other instance has."""
    taken = {each.target for each in by_place(record.definition.volumes, record.definition.tmpfs)}
    return tuple(
        Volume(f"{record.id}.{hashlib.sha256(path.encode()).hexdigest()[:8]}", path)
        for path in (image.settings.volumes if image.settings else ())
        if path not in taken
    )
