"""Where an instance sees what it has besides its image."""

import posixpath

from kwhost.core.errors import UsageError

__all__ = ["place_in_instance"]


def place_in_instance(path: str, what: str) -> str:
    """The path as the kernel would call it. Raises UsageError unless it is absolute, and not the root;
    `what`: how the message calls it."""
    if not path.startswith("/"):
        raise UsageError(f"{what} in the instance must be absolute, not {path[:100]!r}")
    place = "/" + posixpath.normpath(path).lstrip("/")
    if place == "/":
        raise UsageError(f"{what} cannot be the instance's root: that is what a rootfs is for")
    return place
