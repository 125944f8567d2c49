"""Digests: what content is called, by itself."""

import hashlib
import re
from typing import BinaryIO, NewType

from kwhost.core.errors import ImageError

__all__ = ["Digest", "digest_of", "hash_file", "hex_of", "parse_digest"]

# "sha256:" and 64 hexadecimal digits.
Digest = NewType("Digest", str)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PIECE = 1 << 20


def parse_digest(text: str) -> Digest:
    """Check a digest. Raises ImageError, also for the algorithms that nobody uses."""
    if not _DIGEST.fullmatch(text):
        raise ImageError(f"{text[:100]!r} is no digest that is known here: sha256: and 64 hexadecimal digits")
    return Digest(text)


def digest_of(content: bytes) -> Digest:
    """What some content is called."""
    return Digest(f"sha256:{hashlib.sha256(content).hexdigest()}")


def hash_file(file: BinaryIO) -> Digest:
    """The digest of an opened file, from where it stands."""
    content = hashlib.sha256()
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        content.update(view[:count])
    return parse_digest(f"sha256:{content.hexdigest()}")


def hex_of(digest: Digest) -> str:
    """The digits alone, as files are named."""
    return digest.partition(":")[2]
