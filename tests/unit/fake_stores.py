"""Images and volumes in memory, for the API's tests."""

from collections.abc import AsyncIterator, Container

from kwhost.core.errors import NotFound
from kwhost.core.images.store import Owner
from kwhost.core.model.ids import TenantName
from kwhost.core.model.image import ListedImage, StoredImage
from kwhost.core.model.volume import StoredVolume
from kwhost.core.supervise.images import ArchiveKind

__all__ = ["FakeImages", "FakeVolumes"]


class FakeVolumes:
    """Volumes of tenants, by name."""

    def __init__(self) -> None:
        self.stored: dict[tuple[TenantName, str], StoredVolume] = {}

    async def list(self, tenant: TenantName) -> tuple[StoredVolume, ...]:
        return tuple(volume for (whose, _), volume in self.stored.items() if whose == tenant)

    async def list_all(self, tenants: Container[TenantName] | None) -> tuple[StoredVolume, ...]:
        return tuple(
            volume for (whose, _), volume in self.stored.items() if tenants is None or whose in tenants
        )

    async def inspect(self, tenant: TenantName, name: str) -> StoredVolume:
        try:
            return self.stored[tenant, name]
        except KeyError:
            raise NotFound(f"there is no volume {name}") from None

    async def create(self, tenant: TenantName, name: str, size: int | None) -> StoredVolume:
        volume = StoredVolume(name=name, tenant=tenant, kind="ext4", size=size, created=1.0)
        self.stored[tenant, name] = volume
        return volume

    async def remove(self, tenant: TenantName, name: str) -> StoredVolume:
        volume = await self.inspect(tenant, name)
        del self.stored[tenant, name]
        return volume

    async def prune(self, tenant: TenantName) -> tuple[StoredVolume, ...]:
        return tuple([await self.remove(tenant, volume.name) for volume in await self.list(tenant)])


class FakeImages:
    """Images of owners, by name; adding makes one of the name that is given."""

    def __init__(self) -> None:
        self.stored: dict[tuple[Owner, str], StoredImage] = {}
        self.received = b""

    async def list(self, owner: Owner) -> tuple[ListedImage, ...]:
        return tuple(image.listed() for (whose, _), image in self.stored.items() if whose in (None, owner))

    async def list_all(self, tenants: Container[TenantName] | None) -> tuple[ListedImage, ...]:
        return tuple(
            image.listed()
            for (whose, _), image in self.stored.items()
            if whose is None or tenants is None or whose in tenants
        )

    async def inspect(self, owner: Owner, reference: str) -> StoredImage:
        for whose in (owner, None):
            if image := self.stored.get((whose, reference)):
                return image
        raise NotFound(f"there is no image {reference}")

    async def remove(self, owner: Owner, reference: str) -> StoredImage:
        image = await self.inspect(owner, reference)
        del self.stored[owner, reference]
        return image

    async def prune(self, owner: Owner) -> tuple[ListedImage, ...]:
        removed = tuple(image.listed() for (whose, _), image in self.stored.items() if whose == owner)
        self.stored = {key: image for key, image in self.stored.items() if key[0] != owner}
        return removed

    async def add(
        self, owner: Owner, kind: ArchiveKind, name: str | None, archive: AsyncIterator[bytes]
    ) -> tuple[ListedImage, ...]:
        self.received = b"".join([piece async for piece in archive])
        image = StoredImage(
            name=name or kind.value,
            digest="sha256:" + "0" * 64,
            tenant=owner,
            size=len(self.received),
            layers=(),
            added=1.0,
        )
        self.stored[owner, image.name] = image
        return (image.listed(),)
