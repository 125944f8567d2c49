"""The roots of a daemon's instances: an overlay over the image's layers, or a copy of them where no overlay
is to be had; and the disks that what they write goes to."""

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import NamedTuple

import trio

from kwhost.core.engines.bare import jail_refused
from kwhost.core.errors import Conflict, HostError, KwhostError, UsageError
from kwhost.core.images.image import Image
from kwhost.core.model.definition import Changes
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.mounts import Mount, MountFlag, MountKind
from kwhost.core.model.roots import RootStorage
from kwhost.core.model.tenant import Tenant
from kwhost.core.model.units import format_bytes
from kwhost.core.model.volume import DEFAULT_VOLUME_SIZE
from kwhost.core.storage.overlays import Overlays, layers_of
from kwhost.core.storage.root_copies import RootCopies, copied_kind, describe_copy
from kwhost.core.storage.upper_disks import UpperDisks
from kwhost.core.store.records import InstanceRecord
from kwhost.core.supervise.lifecycle import LIVE_STATES
from kwhost.core.supervise.private_images import HostedPrivateImages

__all__ = ["HostedRoots", "ShownRoot"]

# Roots of one tenant's that are made at once, and that are removed.
_MAKING_MAX = 4


class ShownRoot(NamedTuple):
    """How an instance's root is made: `kind` is overlay, reflink or copy, or "" for what the image's own
    steps make. `files` is the copy's directory, `disk` that of an empty disk for changes to an overlay;
    `size` is what the disk has, also where the copy is on one. `lower` is what the overlay is over instead of
    the image's layers, or "". `notice` is what is to be told of it, or ""."""

    kind: str = ""
    files: str = ""
    disk: str = ""
    size: int | None = None
    lower: str = ""
    notice: str = ""

    def mounts(self, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
        """The image's steps with this root."""
        root, *others = mounts
        if self.files:
            return (Mount(MountKind.BIND, "/", self.files, root.flags), *others)
        lower, flags = self.lower or root.source, root.flags
        if self.disk:
            lower, flags = f"{self.disk}:{lower}", flags | MountFlag.UPPER
        return (root._replace(source=lower, flags=flags), *others)


class HostedRoots:
    """`storage` is what the operator chose."""

    def __init__(
        self,
        storage: RootStorage,
        overlays: Overlays,
        disks: UpperDisks,
        copies: RootCopies,
        private: HostedPrivateImages,
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        self._storage = storage
        self._overlays = overlays
        self._disks = disks
        self._copies = copies
        self.private = private
        self._tell = tell
        # Whose copies take long, to make or to remove, keeps nobody else's threads.
        limiter = partial(trio.CapacityLimiter, _MAKING_MAX)
        self._making: dict[TenantName, trio.CapacityLimiter] = defaultdict(limiter)
        self._removing: dict[TenantName, trio.CapacityLimiter] = defaultdict(limiter)

    async def repair(self) -> None:
        """Take away what an earlier daemon left. Raises KwhostError."""
        await trio.to_thread.run_sync(self._disks.repair)
        await trio.to_thread.run_sync(
            self._copies.repair, lambda name: trio.from_thread.run_sync(self._is_live, name)
        )
        await self.private.repair()

    def _is_live(self, instance: str) -> bool:
        return any(each.id == instance and each.state in LIVE_STATES for each in self.private.records())

    async def remove_of(self, tenant: TenantName, instance: InstanceId) -> None:
        """A run has ended: nothing is left of its root. Raises KwhostError."""
        if self._copies.is_there(instance):
            await trio.to_thread.run_sync(self._copies.remove, instance, limiter=self._removing[tenant])

    def promised(self, tenant: TenantName) -> int:
        """The bytes that a tenant has in copies of images, besides its instances."""
        return self.private.promised(tenant)

    async def let_go(self, tenant: TenantName) -> None:
        """A tenant has one instance less: what that alone had goes, now or with the next one."""
        try:
            await self.private.collect(tenant)
        except KwhostError as error:
            await self._tell(str(error))

    @asynccontextmanager
    async def using(
        self, record: InstanceRecord, tenant: Tenant, image: Image, is_wanted: Callable[[], bool]
    ) -> AsyncIterator[ShownRoot]:
        """An instance's root, until it has started; a copy that takes long is given up once the instance is
        not wanted any more. Raises KwhostError."""
        root, definition = image.mounts[0], record.definition
        on_disk = definition.changes is Changes.DISK and not definition.read_only
        if root.kind is not MountKind.OVERLAY or root.target != "/":
            if on_disk:
                raise UsageError(
                    "changes on a disk need an image or a rootfs: the root of `host` is in memory"
                )
            if tenant.private_images:
                raise UsageError(
                    f"tenant {tenant.name} has private_images: the image {definition.image} is this host's "
                    "own files, which all share; use another"
                )
            yield ShownRoot()
            return
        layers = layers_of(root)
        refused = await self._refusal(layers, definition.rootfs)
        lower = ""
        if tenant.private_images and not refused:  # a copy is private anyhow
            lower = await self.private.lower(tenant, record, image.digest, layers, is_wanted=is_wanted)
        if not refused and not on_disk:  # as most have it: no thread is needed
            yield ShownRoot("overlay", lower=lower)
            return
        size = definition.limits.storage
        if on_disk or tenant.quota.storage is not None:
            size = size or DEFAULT_VOLUME_SIZE
        with ExitStack() as held:
            make = partial(self._make, held, record, layers, size, refused, is_wanted)
            try:
                made = await trio.to_thread.run_sync(make, limiter=self._making[tenant.name])
                yield made._replace(lower=lower)
            except BaseException:
                with trio.CancelScope(shield=True):
                    await self.remove_of(tenant.name, record.id)
                raise
            finally:
                with trio.CancelScope(shield=True):
                    await self._close(held.pop_all())

    async def _refusal(self, layers: list[str], rootfs: str | None) -> str:
        """Why the root is to be a copy; "" for an overlay. Only of our own directories it is certain that
        looking at them takes no time."""
        if self._storage is RootStorage.OVERLAY:
            return ""
        if self._storage is RootStorage.COPY:
            refused = "root_storage is copy"
        elif rootfs is None and self._overlays.is_known(layers):
            return ""
        elif error := await trio.to_thread.run_sync(self._overlays.refusal, layers):
            refused = f"no overlay can be had: {error}"
        else:
            return ""
        # Without a jail there is no root at all.
        return "" if await trio.to_thread.run_sync(jail_refused) else refused

    def _make(
        self,
        held: ExitStack,
        record: InstanceRecord,
        layers: list[str],
        size: int | None,
        refused: str,
        is_wanted: Callable[[], bool],
    ) -> ShownRoot:
        if not refused:
            assert size is not None
            return ShownRoot("overlay", disk=str(held.enter_context(self._disks.fresh(size))), size=size)

        def look() -> None:
            if not is_wanted():
                raise Conflict(f"{record.name} was stopped before its root was copied")

        if size is None and not self._copies.is_usable():
            size = DEFAULT_VOLUME_SIZE
        if size is None:
            files, copied = self._copies.make(record.id, layers, look)
            return ShownRoot(copied_kind(copied), str(files), notice=describe_copy(copied, refused))
        if os.geteuid() != 0:
            raise UsageError(
                f"{record.name} has a bound on its storage, and its root has to be a copy ({refused}): only "
                "root's daemon can bound that; leave storage out"
            )
        files = held.enter_context(self._disks.fresh(size)) / "root"
        files.mkdir(mode=0o700)
        full = f"the copy of the image does not fit into the {format_bytes(size)} of storage of {record.name}"
        copied = self._copies.copy(layers, files, look, f"{full}: give it more")
        notice = describe_copy(copied, refused)
        return ShownRoot(copied_kind(copied), str(files), size=size, notice=notice)

    async def _close(self, held: ExitStack) -> None:
        """What is left is taken away by the next daemon."""
        try:
            await trio.to_thread.run_sync(held.close)
        except HostError as error:
            await self._tell(str(error))
