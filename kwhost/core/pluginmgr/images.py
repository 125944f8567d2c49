"""Images by their references: which plugin's source it is, and that source's plan, within bounds."""

import os
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial

import trio

from kwhost.core.errors import ImageError, KwhostError
from kwhost.core.pluginmgr.answers import check_image_plan
from kwhost.core.pluginmgr.calls import call_in_thread
from kwhost.core.pluginmgr.faults import PluginFault
from kwhost.core.pluginmgr.registry import Registry
from kwhost.hookspecs import IMAGE_STORE, ImagePlan, ImageRequest, ImageSource

__all__ = ["PLAN_SECONDS", "plan_image", "source_of"]

# A source may have to fetch the image first.
PLAN_SECONDS = 600.0


def source_of(registry: Registry, image: str) -> tuple[str, str]:
    """The name of the source that has the image, and what the source is asked for."""
    name, _, reference = image.partition(":")
    if name == IMAGE_STORE or name not in registry.offers("image_sources"):
        return IMAGE_STORE, image
    return name, reference


def _attempt(source: ImageSource, request: ImageRequest, left: threading.Event) -> object:
    """The plan, or what the source itself has to say about the image; `left`: nobody waits any more."""
    try:
        plan = source.plan(request)
    except KwhostError as error:
        return error
    if left.is_set():
        _unpin(plan)
    return plan


def _unpin(plan: object) -> None:
    pin: object = plan.pin if isinstance(plan, ImagePlan) else -1
    if type(pin) is int and pin >= 0:
        with suppress(OSError):
            os.close(pin)


async def plan_image(registry: Registry, limiter: trio.CapacityLimiter, request: ImageRequest) -> ImagePlan:
    """How the root is made of the image that `request` names in full. Raises ImageError, or what the source
    raises of KwhostError, also where the source's plugin fails, and PluginFault for its failure."""
    name, reference = source_of(registry, request.reference)
    source = registry.offers("image_sources").get(name)
    if not isinstance(source, ImageSource):
        known = ", ".join(sorted(registry.offers("image_sources"))) or "none"
        raise ImageError(f"no image source has the image {request.reference!r}; there are: {known}")
    left = threading.Event()
    try:
        with trio.move_on_after(PLAN_SECONDS):
            attempt = partial(_attempt, source, replace(request, reference=reference), left)
            plan = await call_in_thread(attempt, limiter)
            if isinstance(plan, KwhostError):
                raise plan
            try:
                return check_image_plan(plan)
            except PluginFault:
                _unpin(plan)
                raise
    finally:
        left.set()
    raise PluginFault(f"image source {name}: no plan within {PLAN_SECONDS:g} s")
