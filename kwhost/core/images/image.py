"""What every kind of image comes to."""

from typing import NamedTuple

from kwhost.core.images.accounts import Accounts
from kwhost.core.model.mounts import Mount

__all__ = ["Image"]


class Image(NamedTuple):
    """The steps that make the root, and the image's own accounts."""

    mounts: tuple[Mount, ...]
    accounts: Accounts
