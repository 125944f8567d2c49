"""An image store for tests, of nobody else's."""

import os
from pathlib import Path

from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.images.service import Images
from kwhost.core.images.store import OPERATOR, Owner
from kwhost.core.model.ids import DEFAULT_UID_BASE
from kwhost.core.model.image import StoredImage
from tests.unit.tar_parts import Archive

__all__ = ["BASE", "TOP", "Store"]

BASE = Archive().directory("etc").add("etc/passwd", b"app:x:7:8::/srv:/bin/sh\n").data
TOP = Archive().add("etc/.wh.hosts").add("f", b"x" * 1000).data


class Store:
    def __init__(self, state: Path) -> None:
        self.state = state
        self.images = Images(state, lambda: lease_ids(DEFAULT_UID_BASE))

    def load(
        self, archive: bytes, owner: Owner = OPERATOR, name: str | None = None
    ) -> tuple[StoredImage, ...]:
        with self.images.spooling() as (file, write):
            write(archive)
            os.lseek(file, 0, os.SEEK_SET)
            added = self.images.load(owner, file, name)
        return tuple(self.images.inspect(owner, image.name) for image in added)

    def import_root(self, archive: bytes, name: str) -> tuple[StoredImage, ...]:
        with self.images.spooling() as (file, write):
            write(archive)
            os.lseek(file, 0, os.SEEK_SET)
            added = self.images.import_root(OPERATOR, file, name)
        return tuple(self.images.inspect(OPERATOR, image.name) for image in added)

    def names(self, owner: Owner = OPERATOR) -> list[str]:
        return [image.name for image in self.images.list(owner)]

    def content(self) -> list[str]:
        """All that is kept."""
        places = ("blobs/sha256", "layers", "images", "ingest", "removed")
        return [path.name for place in places for path in (self.state / "images" / place).iterdir()]
