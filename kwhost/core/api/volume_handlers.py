"""What each route about volumes does."""

from typing import TYPE_CHECKING

from kwhost.core.api.calls import Call, Handler
from kwhost.core.model.ids import DEFAULT_TENANT, TenantName
from kwhost.core.model.volume import StoredVolume

if TYPE_CHECKING:
    from kwhost.core.api.types import VolumeBody

__all__ = ["VOLUME_HANDLERS"]


def _owner(call: Call) -> TenantName:
    return call.only_tenant() or DEFAULT_TENANT


def _named(call: Call) -> tuple[TenantName, str]:
    tenant, name = _owner(call), call.arguments["volume"]
    call.audit.about(f"{tenant}/{name}")
    return tenant, name


async def _volumes(call: Call) -> tuple[StoredVolume, ...]:
    if call.query.get("all"):
        return await call.hosting.volumes.list_all(call.visible())
    return await call.hosting.volumes.list(_owner(call))


async def _volume(call: Call) -> StoredVolume:
    return await call.hosting.volumes.inspect(*_named(call))


async def _create(call: Call) -> StoredVolume:
    wanted: VolumeBody = call.body
    tenant = _owner(call)
    call.audit.about(f"{tenant}/{wanted.name}")
    return await call.hosting.volumes.create(tenant, wanted.name, wanted.size)


async def _remove(call: Call) -> StoredVolume:
    return await call.hosting.volumes.remove(*_named(call))


async def _prune(call: Call) -> tuple[StoredVolume, ...]:
    return await call.hosting.volumes.prune(_owner(call))


VOLUME_HANDLERS: dict[str, Handler] = {
    "volumes": _volumes,
    "volume": _volume,
    "volume-create": _create,
    "volume-remove": _remove,
    "volumes-prune": _prune,
}
