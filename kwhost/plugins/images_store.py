"""The images of the store: what `kwhost image` loads, imports and pulls."""

from kwhost.core.images.store import ImageStore
from kwhost.core.images.stored import plan_stored
from kwhost.hookspecs import IMAGE_STORE, ImagePlan, ImageRequest, ImageSource, hookimpl


def _stored(request: ImageRequest) -> ImagePlan:
    store = ImageStore(request.state_dir / "images")
    plan = plan_stored(store, request.tenant, request.reference, request.digest)
    return ImagePlan(
        mounts=plan.mounts,
        accounts_root=plan.accounts_root,
        settings=plan.settings,
        digest=plan.digest,
        pin=plan.pin,
    )


@hookimpl
def image_sources() -> tuple[ImageSource, ...]:
    """Of each tenant its own, and the operator's."""
    return (ImageSource(name=IMAGE_STORE, plan=_stored),)
