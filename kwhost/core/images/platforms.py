"""Which of several images this machine can run."""

from kwhost.core.errors import ImageError
from kwhost.core.images.documents import Configuration, Descriptor, Index

__all__ = ["check_platform", "choose"]

_OS, _ARCHITECTURE = "linux", "amd64"
_VARIANTS = ("", "v1", "v2")  # later ones need what not every processor has


def choose(index: Index) -> Descriptor:
    """The first one for this machine. Raises ImageError."""
    for descriptor in index.manifests:
        platform = descriptor.platform
        here = platform and (platform.os, platform.architecture) == (_OS, _ARCHITECTURE)
        if platform and here and platform.variant in _VARIANTS:
            return descriptor
    if len(index.manifests) == 1 and index.manifests[0].platform is None:
        return index.manifests[0]
    known = {f"{each.platform.os}/{each.platform.architecture}" for each in index.manifests if each.platform}
    shown = ", ".join(sorted(known))[:200] or "nothing"
    raise ImageError(f"the image is for {shown!a}, and not for {_OS}/{_ARCHITECTURE}")


def check_platform(configuration: Configuration) -> None:
    """Raise ImageError for an image of another machine; an image that does not say is taken."""
    for what, here in ((configuration.os, _OS), (configuration.architecture, _ARCHITECTURE)):
        if what not in ("", here):
            shown = f"{configuration.os}/{configuration.architecture}"[:100]
            raise ImageError(f"the image is for {shown!a}, and not for {_OS}/{_ARCHITECTURE}")
