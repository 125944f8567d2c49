"""What every kind of image comes to."""

import os
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.images.accounts import Accounts
from kwhost.core.model.mounts import Mount

if TYPE_CHECKING:  # `kwhost run` on the host's programs has none
    from kwhost.core.model.image import ImageSettings

__all__ = ["Image"]


class Image(NamedTuple):
    """The steps that make the root, the image's own accounts, and what it says about running it.

    `digest` is that of an image of the store, which `pin` (a descriptor, or -1) keeps there.
    """

    mounts: tuple[Mount, ...]
    accounts: Accounts
    settings: "ImageSettings | None" = None
    digest: str = ""
    pin: int = -1

    def close(self) -> None:
        """Let go of the image; whoever uses it now has said so."""
        if self.pin >= 0:
            os.close(self.pin)
