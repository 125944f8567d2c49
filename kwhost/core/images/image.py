"""What every kind of image comes to."""

from dataclasses import dataclass

from kwhost.core.images.accounts import Accounts
from kwhost.core.model.mounts import Mount

__all__ = ["Image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The steps that make the root, and the image's own accounts."""

    mounts: tuple[Mount, ...]
    accounts: Accounts
