"""Registries of images, by name."""

import re

from kwhost.core.errors import UsageError

__all__ = ["REGISTRY", "registry_name"]

REGISTRY = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9-]+)*(?::[0-9]{1,5})?")


def registry_name(text: str) -> str:
    """Check HOST or HOST:PORT. Raises UsageError."""
    if not REGISTRY.fullmatch(text):
        raise UsageError(f"{text[:200]!r} is no registry: write HOST or HOST:PORT")
    return text
