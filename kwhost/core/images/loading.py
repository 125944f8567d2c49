"""`kwhost image load`: images out of an archive; `import`: one out of a root file system's archive."""

import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from kwhost.core.errors import ImageError, UsageError
from kwhost.core.images.adding import Adder
from kwhost.core.images.allowance import Allowance
from kwhost.core.images.archive_layout import ArchivedImage, Directory, read_layout
from kwhost.core.images.compression import HEAD, compression_of
from kwhost.core.images.deadline import Deadline
from kwhost.core.images.digests import Digest, digest_of, hash_file
from kwhost.core.images.names import ImageName, parse_name
from kwhost.core.images.room import Watch, room_for
from kwhost.core.images.store import ImageStore, Named, Owner, telling_full_disk
from kwhost.core.images.unpack import unpack
from kwhost.core.images.unpackers import Unpackers

__all__ = ["ImageWork", "import_root", "load_archive"]

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class ImageWork(NamedTuple):
    """Where images go to, whose they become, how much that may be, until when, and who hears of it."""

    store: ImageStore
    owner: Owner
    unpackers: Unpackers
    allowance: Allowance
    deadline: Deadline
    report: Callable[[str], None] = lambda _line: None

    def adder(self, place: Path) -> Adder:
        """What adds them."""
        return Adder(
            store=self.store,
            unpackers=self.unpackers,
            place=place,
            report=self.report,
            allowance=self.allowance,
            deadline=self.deadline,
        )


def load_archive(work: ImageWork, archive: int, name: str | None) -> list[str]:
    """Add the images of an opened archive, compressed or not, all of them or none; their names. `name` is
    what the only image of the archive is called instead; a digest in it must be the image's. Raises
    ImageError, HostError, UsageError, QuotaExceeded."""
    wanted = parse_name(name) if name else None
    with work.store.adding() as place, ExitStack() as ends:
        unpacked = place / "archive"
        with telling_full_disk("begin to unpack an archive"):
            unpacked.mkdir(mode=0o700)
        work.report("reading the archive")
        bounds = work.allowance.of_archive(room_for(place))
        # Holes cost an archive nothing, and whoever reads what is in it much.
        bounds = bounds._replace(file=bounds.size, holes=False)
        unpack(archive, unpacked, bounds, work.unpackers, seconds=work.deadline.left())
        work.unpackers.prepare()
        fd = os.open(unpacked, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        ends.callback(os.close, fd)
        directory = Directory(fd)
        count, images = read_layout(directory)
        if wanted and count > 1:
            raise UsageError(f"the archive has {count} images: they cannot all be called {wanted.familiar}")
        added: dict[str, Named] = {}
        for image in images:
            names = [wanted.familiar] if wanted else list(image.names)
            if not names:
                raise UsageError(
                    "the archive does not say what its image is called: name it with --name NAME:TAG"
                )
            work.deadline.left()
            work.report(f"adding {names[0]}")
            digest = _add(work, place, directory, image, wanted)
            added |= dict.fromkeys(names, Named(digest, time.time(), image.chosen_from))
        work.store.set_names(work.owner, added)
        return list(added)


def _add(
    work: ImageWork, place: Path, directory: Directory, image: ArchivedImage, wanted: ImageName | None
) -> Digest:
    path, promised = image.config
    document = directory.document(path)
    config = digest_of(document)
    _check(config, promised)
    adder = work.adder(place)
    layers = [_adopt(adder, directory, path, promised) for path, promised in image.layers]
    work.store.add_blob(document)
    manifest = image.manifest or _manifest(adder, config, len(document), layers)
    own = digest_of(manifest)
    if wanted and wanted.digest not in (None, image.chosen_from, own):
        raise UsageError(f"the archive's image is {own}, and cannot be called {wanted.full}")
    return adder.add(manifest)


def _check(digest: Digest, promised: Digest | None) -> None:
    if promised not in (None, digest):
        raise ImageError(f"the archive's {promised} has another content than its name says: {digest}")


def _adopt(adder: Adder, directory: Directory, path: str, promised: Digest | None) -> Digest:
    """Take a layer's blob, once its content is known. What unpacked it has ended: nobody can change it."""
    with directory.open(path) as file, telling_full_disk("read an image's layer"):
        digest = directory.digest(file)
        _check(digest, promised)
        adder.take_blob(file.fileno(), digest)
    return digest


def _manifest(adder: Adder, config: Digest, size: int, layers: list[Digest]) -> bytes:
    """A manifest for what `docker save` wrote without one."""
    described = []
    for layer in layers:
        with adder.blob(layer).open("rb") as file:
            compression = compression_of(file.read(HEAD))
            length = os.fstat(file.fileno()).st_size
        kind = f"{_LAYER}+{compression}" if compression else _LAYER
        described.append({"mediaType": kind, "digest": layer, "size": length})
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": config, "size": size},
            "layers": described,
        }
    ).encode()


def import_root(work: ImageWork, archive: int, name: str) -> list[str]:
    """Add an image of one layer, the opened archive of a root file system, compressed or not. Raises
    ImageError, HostError, UsageError, QuotaExceeded."""
    from datetime import UTC, datetime  # of all that adds images, only this makes one

    wanted = parse_name(name)
    if wanted.digest:
        raise UsageError(f"{name[:200]!r} has a digest, which nobody can know before the image is made")
    with work.store.adding() as place:
        file = place / "layer.tar"
        work.report("reading the root file system")
        with telling_full_disk("keep a root file system"), file.open("xb") as copy:
            _copy(archive, copy.fileno(), Watch(place))
        adder = work.adder(place)
        with file.open("rb", buffering=0) as opened:
            layer = hash_file(opened)
            adder.take_blob(opened.fileno(), layer)
        diff_id = adder.unpack_layer(layer, "the root file system").diff_id
        created = datetime.now(UTC).isoformat(timespec="seconds")
        root = {"type": "layers", "diff_ids": [diff_id]}
        document = json.dumps(
            {"architecture": "amd64", "os": "linux", "created": created, "rootfs": root}
        ).encode()
        config = work.store.add_blob(document)
        digest = adder.add(_manifest(adder, config, len(document), [layer]))
        work.store.set_names(work.owner, {wanted.familiar: Named(digest, time.time())})
    return [wanted.familiar]


def _copy(source: int, target: int, watch: Watch) -> None:
    while piece := os.read(source, 1 << 20):
        watch.written(len(piece))
        while piece:
            piece = piece[os.write(target, piece) :]
