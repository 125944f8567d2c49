"""Adding images to the store: whatever they come from, this is what is checked, unpacked and kept.

Everything here blocks; a daemon calls it in a thread.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import ImageError
from kwhost.core.images.allowance import Allowance
from kwhost.core.images.compression import HEAD, is_compressed
from kwhost.core.images.contents import read_contents
from kwhost.core.images.deadline import Deadline
from kwhost.core.images.digests import Digest, hex_of, parse_digest
from kwhost.core.images.documents import DOCUMENT_MAX, Configuration, Manifest, decode
from kwhost.core.images.on_disk import new_name, sync, sync_file_system_of
from kwhost.core.images.platforms import check_platform
from kwhost.core.images.records import ImageRecord, read_record, write_record
from kwhost.core.images.room import room_for
from kwhost.core.images.settings import settings_of
from kwhost.core.images.store import ImageStore, telling_full_disk
from kwhost.core.images.unpack import unpack
from kwhost.core.images.unpackers import Unpackers

__all__ = ["Adder", "UnpackedLayer"]


class UnpackedLayer(NamedTuple):
    """A layer's digest without compression, and the bytes of its files."""

    diff_id: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adder:
    """Adds images. `report` gets a line about each step; `place` is what `store.adding()` gave.
    Whether a layer is there already counts only where the owner has it, or where its content has come: a
    digest alone opens nothing. Blobs of layers `came` without a name: they get it with their layer, so that
    the disk is waited for once."""

    store: ImageStore
    unpackers: Unpackers
    place: Path
    report: Callable[[str], None]
    allowance: Allowance
    deadline: Deadline
    came: dict[Digest, Path] = field(default_factory=dict)

    def take_blob(self, fd: int, layer: Digest) -> None:
        """A layer's blob has come, as an opened file, whoever its owner is; its digest was checked, and
        nobody else can change it. Raises HostError."""
        if layer in self.came or self.store.blob(layer).exists():
            return
        file = self.place / f"blob-{new_name()}"
        with telling_full_disk("keep an image's layer"):
            os.fchown(fd, os.geteuid(), os.getegid())
            os.fchmod(fd, 0o600)
            place = os.open(self.place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:  # with a directory given, Python follows the link that /proc has
                os.link(f"/proc/self/fd/{fd}", file.name, dst_dir_fd=place)
            finally:
                os.close(place)
        self.came[layer] = file

    def blob(self, layer: Digest) -> Path:
        """Where a layer's blob is."""
        return self.came.get(layer) or self.store.blob(layer)

    def add(self, document: bytes) -> Digest:
        """Add an image by its manifest; the configuration's and all layers' blobs have come. It has no name
        yet. Raises ImageError, HostError, QuotaExceeded."""
        manifest = decode(document, Manifest, "the image's manifest")
        manifest.check_layers()
        config = decode(
            self.store.read_blob(manifest.config.name, DOCUMENT_MAX),
            Configuration,
            "the image's configuration",
        )
        check_platform(config)
        settings = settings_of(config)
        layers = tuple(layer.name for layer in manifest.layers)
        if len(config.rootfs.diff_ids) != len(layers):
            raise ImageError("the image's configuration does not have as many layers as its manifest")
        unpacked: dict[Digest, int] = {}
        for number, (layer, diff_id) in enumerate(zip(layers, config.rootfs.diff_ids, strict=True), 1):
            found = self.unpack_layer(layer, f"layer {number} of {len(layers)}")
            if found.diff_id != diff_id:
                raise ImageError(
                    f"layer {number} is not what the image's configuration says ({diff_id[:100]!a})"
                )
            unpacked[layer] = found.size
        record = ImageRecord(
            manifest=self.store.add_blob(document),
            config=manifest.config.name,
            layers=layers,
            size=sum(unpacked.values()),
            created=config.created,
            settings=settings,
        )
        self._keep(record, manifest.known_type, unpacked)
        return record.manifest

    def _keep(self, record: ImageRecord, media_type: str, unpacked: dict[Digest, int]) -> None:
        with telling_full_disk("keep an image"):
            if not (self.store.images / hex_of(record.manifest)).is_dir():
                write_record(self.store, self.place, record, media_type, unpacked)
        read_record(self.store, record.manifest)
        for blob, taken in read_contents(self.store.images, record.manifest).blobs.items():
            self.allowance.count(blob, taken)

    def unpack_layer(self, layer: Digest, what: str) -> UnpackedLayer:
        """Have a layer's directory; its blob is there. Raises ImageError, HostError, QuotaExceeded."""
        target = self.store.layers / hex_of(layer)
        about = self.store.layers / f"{hex_of(layer)}.json"
        if target.is_dir() and not about.exists():  # what somebody who was killed left of it
            with telling_full_disk("unpack a layer"):
                self.store.put_away(target)
        if not target.is_dir():
            self.report(f"unpacking {what}")
            self._make_layer(layer, target, about)
        elif layer in self.came:
            with telling_full_disk("keep an image's layer"):
                sync(self.came[layer])
            self.store.name_blob(self.came.pop(layer), layer)
        known = json.loads(about.read_bytes())
        size = int(known["size"])
        self.allowance.count(layer, self.store.blob(layer).stat().st_size + size)
        return UnpackedLayer(parse_digest(known["diff_id"]), size)

    def _make_layer(self, layer: Digest, target: Path, about: Path) -> None:
        made = self.place / f"layer-{hex_of(layer)}"
        with telling_full_disk("unpack a layer"):
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir(mode=0o755)
            with self.blob(layer).open("rb") as blob:
                compressed = is_compressed(os.pread(blob.fileno(), HEAD, 0))
                bounds = self.allowance.within(room_for(self.place), os.fstat(blob.fileno()).st_size)
                left = self.deadline.left()
                result = unpack(blob.fileno(), made, bounds, self.unpackers, digest=compressed, seconds=left)
            # A layer without compression is called what its blob is, whose content was checked.
            fields = {"diff_id": result.diff_id or layer, "size": result.size, "left_out": result.left_out}
            self.store.write_file(about, json.dumps(fields).encode(), durable=False)
            sync_file_system_of(made)
            if layer in self.came:
                self.store.name_blob(self.came.pop(layer), layer)
            try:
                made.rename(target)
            except OSError:
                if not target.is_dir():  # somebody else was faster
                    raise
