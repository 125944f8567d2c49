"""What each route about images does."""

from kwhost.core.api.calls import Call, Handler
from kwhost.core.errors import UsageError
from kwhost.core.images.store import OPERATOR, Owner
from kwhost.core.model.image import ListedImage, StoredImage
from kwhost.core.supervise.images import ArchiveKind

__all__ = ["IMAGE_HANDLERS"]


def _owner(call: Call) -> Owner:
    """Whose images the request is about. Raises NotFound, UsageError."""
    return call.only_tenant() or OPERATOR


async def _images(call: Call) -> tuple[ListedImage, ...]:
    if call.query.get("all"):
        return await call.hosting.images.list_all(call.visible())
    return await call.hosting.images.list(_owner(call))


async def _image(call: Call) -> StoredImage:
    return await call.hosting.images.inspect(_owner(call), call.arguments["image"])


async def _remove(call: Call) -> StoredImage:
    reference = call.arguments["image"]
    call.audit.about(reference)
    return await call.hosting.images.remove(_owner(call), reference)


async def _prune(call: Call) -> tuple[ListedImage, ...]:
    return await call.hosting.images.prune(_owner(call))


async def _add(call: Call) -> tuple[ListedImage, ...]:
    try:
        kind = ArchiveKind(call.query["kind"])
    except ValueError:
        raise UsageError("kind must be images or root") from None
    name = call.query.get("name")
    if kind is ArchiveKind.ROOT and not name:
        raise UsageError("an image out of a root file system needs a name")
    call.audit.about(name or "an archive")
    return await call.hosting.images.add(_owner(call), kind, name, call.connection.body_pieces())


IMAGE_HANDLERS: dict[str, Handler] = {
    "images": _images,
    "image": _image,
    "image-add": _add,
    "image-remove": _remove,
    "images-prune": _prune,
}
