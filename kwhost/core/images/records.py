"""The record of an image that a start reads: image.json, and the accounts beside it.

It is written by this program alone, when the image is added, so that a start parses nothing hostile and loads
neither msgspec nor any layer's files.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kwhost.core.errors import ImageError
from kwhost.core.images.contents import CONTENTS_FILE, Contents
from kwhost.core.images.digests import Digest, hex_of, parse_digest
from kwhost.core.images.layered import find_file
from kwhost.core.images.on_disk import sync, sync_file_system_of
from kwhost.core.images.store import ImageStore
from kwhost.core.model.healthcheck import Healthcheck, ProbeKind
from kwhost.core.model.image import ImageSettings

__all__ = ["ImageRecord", "read_record", "write_record"]

_RECORD_FILE = "image.json"
_ACCOUNTS = ("passwd", "group")
_ACCOUNTS_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image by itself; `layers` are blobs, from the lowest up."""

    manifest: Digest
    config: Digest
    layers: tuple[Digest, ...]
    size: int
    created: str | None
    settings: ImageSettings


def read_record(store: ImageStore, manifest: Digest) -> ImageRecord:
    """Raises ImageError."""
    file = store.images / hex_of(manifest) / _RECORD_FILE
    try:
        return _decode(json.loads(file.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(f"the image {manifest} is damaged ({file}: {error}); load it again") from error


def _decode(fields: dict[str, Any]) -> ImageRecord:
    settings = fields["settings"]
    for key in ("entrypoint", "command", "volumes", "ports"):
        settings[key] = tuple(settings[key])
    if check := settings["healthcheck"]:
        kind, target = ProbeKind(check["kind"]), tuple(check["target"])
        settings["healthcheck"] = Healthcheck(**check | {"kind": kind, "target": target})
    return ImageRecord(
        manifest=parse_digest(fields["manifest"]),
        config=parse_digest(fields["config"]),
        layers=tuple(map(parse_digest, fields["layers"])),
        size=fields["size"],
        created=fields["created"],
        settings=ImageSettings(**settings),
    )


def write_record(
    store: ImageStore, place: Path, record: ImageRecord, media_type: str, unpacked: Mapping[Digest, int]
) -> None:
    """Keep the record with the accounts that the layers have, and what it consists of: the manifest's type,
    and what each layer takes `unpacked`; all that belongs to the image is on the disk before. Raises
    OSError."""
    made = place / f"record-{hex_of(record.manifest)}"
    (made / "etc").mkdir(mode=0o700, parents=True)
    for name in _ACCOUNTS:
        (made / "etc" / name).write_bytes(_find_accounts(store, record.layers, name))
    fields = asdict(record)
    if record.settings.healthcheck:
        fields["settings"]["healthcheck"]["kind"] = record.settings.healthcheck.kind.value
    (made / _RECORD_FILE).write_bytes(json.dumps(fields).encode())
    contents = _contents(store, record, media_type, unpacked, made)
    (made / CONTENTS_FILE).write_bytes(contents.encode())
    sync_file_system_of(made)
    target = store.images / hex_of(record.manifest)
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():  # somebody else was faster
            raise
    sync(store.images)


def _contents(
    store: ImageStore, record: ImageRecord, media_type: str, unpacked: Mapping[Digest, int], made: Path
) -> Contents:
    size = store.blob(record.manifest).stat().st_size
    taken = {layer: store.blob(layer).stat().st_size + unpacked[layer] for layer in record.layers}
    taken[record.config] = store.blob(record.config).stat().st_size
    taken[record.manifest] = size + sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    return Contents(media_type, size, (made / _RECORD_FILE).stat().st_size, taken)


def _find_accounts(store: ImageStore, layers: tuple[Digest, ...], name: str) -> bytes:
    """What an instance has as /etc/NAME, if that is a plain file; links lead within the image."""
    places = [store.layers / hex_of(layer) for layer in dict.fromkeys(reversed(layers))]
    with suppress(OSError):  # such as a link to a name that is too long
        if found := find_file(places, f"/etc/{name}"):
            with found.open("rb") as file:
                return file.read(_ACCOUNTS_MAX)
    return b""
