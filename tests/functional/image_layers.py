"""Layers for tests, unpacked in the jail."""

import os
from pathlib import Path

import pytest

from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.errors import ImageError
from kwhost.core.images.layer_writer import LayerBounds
from kwhost.core.images.unpack import Unpacked, unpack
from kwhost.core.images.unpackers import Unpackers
from kwhost.core.model.ids import DEFAULT_UID_BASE
from tests.unit.tar_parts import Archive

__all__ = ["Layers"]


class Layers:
    """Unpacks archives in `root`, which has a secret beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "layer"
        self.root.mkdir()
        self.secret = directory / "secret"
        self.secret.write_text("secret")

    def unpack(self, archive: Archive | bytes, bounds: LayerBounds | None = None) -> Unpacked:
        file = self.directory / "archive"
        file.write_bytes(archive if isinstance(archive, bytes) else archive.data)
        with file.open("rb") as opened:
            limits = bounds or LayerBounds()
            with Unpackers(lambda: lease_ids(DEFAULT_UID_BASE)) as unpackers:
                return unpack(opened.fileno(), self.root, limits, unpackers, digest=True)

    def refuse(self, archive: Archive | bytes, bounds: LayerBounds | None = None) -> str:
        with pytest.raises(ImageError) as caught:
            self.unpack(archive, bounds)
        return str(caught.value)

    def stat(self, name: str) -> os.stat_result:
        return (self.root / name).lstat()
