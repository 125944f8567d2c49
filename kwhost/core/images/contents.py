"""What an image consists of, beside its record: enough to tell who needs which blobs, how much they take, and
what other programs find; without what the image says of itself, which may be long.

An image's contents never change, since the digest of its manifest stands for all of them.
"""

import json
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import ImageError
from kwhost.core.images.digests import Digest, hex_of, parse_digest

__all__ = ["CONTENTS_FILE", "Contents", "read_contents"]

CONTENTS_FILE = "contents.json"


class Contents(NamedTuple):
    """`media_type` and `size` are the manifest's; `said` is how long the record is; `blobs` are all of the
    image's, each with the bytes that it takes on disk, as it came and unpacked."""

    media_type: str
    size: int
    said: int
    blobs: dict[Digest, int]

    def encode(self) -> bytes:
        """As it is kept."""
        return json.dumps(self).encode()


def read_contents(images: Path, manifest: Digest) -> Contents:
    """Of one image, where a store has them. Raises ImageError."""
    file = images / hex_of(manifest) / CONTENTS_FILE
    try:
        media_type, size, said, blobs = json.loads(file.read_bytes())
        taken = {parse_digest(digest): int(room) for digest, room in blobs.items()}
        return Contents(str(media_type), int(size), int(said), taken)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ImageError(f"the image {manifest} is damaged ({file}: {error}); load it again") from error
