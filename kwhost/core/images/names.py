"""Names of images: [REGISTRY/]REPOSITORY[:TAG][@DIGEST], as Docker has them."""

import re
from typing import NamedTuple

from kwhost.core.errors import ImageError, UsageError
from kwhost.core.images.digests import Digest, parse_digest
from kwhost.core.model.registries import REGISTRY

__all__ = ["ImageName", "parse_name"]

_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_NAME_MAX = 255


class ImageName(NamedTuple):
    """A name in full; `registry` is "" where it names none, `tag` where only a digest says which image of the
    repository it is."""

    registry: str
    repository: str
    tag: str
    digest: Digest | None = None

    @property
    def familiar(self) -> str:
        """As people write it. Images are kept under this name."""
        shown = f"{self.registry}/{self.repository}" if self.registry else self.repository
        return f"{shown}:{self.tag}" if self.tag else f"{shown}@{self.digest}"

    @property
    def full(self) -> str:
        """With the digest, where it has one."""
        return f"{self.familiar}@{self.digest}" if self.tag and self.digest else self.familiar


def _split_registry(path: str) -> tuple[str, str]:
    first, slash, rest = path.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "", path


def parse_name(text: str) -> ImageName:
    """Check a name; without tag and digest it means the tag `latest`. `localhost/NAME`, as podman calls
    what it has built, is NAME. Raises UsageError."""
    path, at, digest_text = text.partition("@")
    path = path.removeprefix("localhost/")
    head, colon, tag = path.rpartition(":")
    if not colon or "/" in tag:
        head, tag = path, "" if at else "latest"
    registry, repository = _split_registry(head)
    parts = repository.split("/")
    valid = (
        len(text) <= _NAME_MAX + 80
        and len(repository) <= _NAME_MAX
        and (not registry or REGISTRY.fullmatch(registry))
        and all(_PART.fullmatch(part) for part in parts)
        and (not tag or _TAG.fullmatch(tag))
        and bool(tag or at)
    )
    if not valid:
        raise UsageError(f"{text[:100]!r} is no name of an image: write [REGISTRY/]NAME[:TAG], in lower case")
    try:
        digest = parse_digest(digest_text) if at else None
    except ImageError as error:
        raise UsageError(str(error)) from error
    return ImageName(registry, repository, tag, digest)
