"""How instances' roots are made of images."""

from enum import Enum

__all__ = ["RootStorage"]


class RootStorage(Enum):
    """AUTO: an overlay over the image's layers, and where the kernel refuses that, a copy of them."""

    AUTO = "auto"
    OVERLAY = "overlay"
    COPY = "copy"
