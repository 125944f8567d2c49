"""Images by their references: which plugin's source it is, and that source's plan, within bounds."""

from functools import partial

import trio

from kwhost.core.errors import ImageError, KwhostError
from kwhost.core.model.ids import InstanceName
from kwhost.core.pluginmgr.answers import check_image_plan
from kwhost.core.pluginmgr.calls import call_in_thread
from kwhost.core.pluginmgr.faults import PluginFault
from kwhost.core.pluginmgr.registry import Registry
from kwhost.hookspecs import ImagePlan, ImageRequest, ImageSource

__all__ = ["PLAN_SECONDS", "plan_image"]

# A source may have to fetch the image first.
PLAN_SECONDS = 600.0


def _attempt(source: ImageSource, request: ImageRequest) -> object:
    """The plan, or what the source itself has to say about the image."""
    try:
        return source.plan(request)
    except KwhostError as error:
        return error


async def plan_image(
    registry: Registry, limiter: trio.CapacityLimiter, image: str, instance: InstanceName, *, read_only: bool
) -> ImagePlan:
    """How the image's root is made. Raises ImageError, or what the source raises of KwhostError, also where
    the source's plugin fails, and PluginFault for its failure."""
    name, _, reference = image.partition(":")
    source = registry.offers("image_sources").get(name)
    if not isinstance(source, ImageSource):
        known = ", ".join(sorted(registry.offers("image_sources"))) or "none"
        raise ImageError(f"there is no image source {name!r} for the image {image!r}; there are: {known}")
    request = ImageRequest(reference=reference, instance=instance, read_only=read_only)
    with trio.move_on_after(PLAN_SECONDS):
        plan = await call_in_thread(partial(_attempt, source, request), limiter)
        if isinstance(plan, KwhostError):
            raise plan
        return check_image_plan(plan)
    raise PluginFault(f"image source {name}: no plan within {PLAN_SECONDS:g} s")
