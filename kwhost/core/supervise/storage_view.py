"""What an instance's files are, by the host's list of its mounts. Blocking.

The program may give the directories on the way to a mount other names at any time: a path is only believed
where the file system is found there that the kernel named.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kwhost.core.abi.messages import clean_text
from kwhost.core.abi.openat2 import open_in_root
from kwhost.core.errors import ImageError
from kwhost.core.images.digests import hex_of, parse_digest
from kwhost.core.images.records import ImageRecord, read_record
from kwhost.core.images.store import ImageStore
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.storage import InstanceStorage, LayerUse, MountUse, Origin
from kwhost.core.model.volume import Volume

__all__ = ["MountLine", "list_mounts", "parse_mounts", "read_storage"]

_PROC = Path("/proc")
_BYTES_MAX = 1 << 20
_OCTAL = re.compile(rb"\\([0-7]{3})")
# What every root has, and what only hides something.
_SYSTEM = ("/dev", "/proc", "/sys")
_KERNEL = ("proc", "sysfs", "devpts", "mqueue", "devtmpfs")
_COVER = b"nr_inodes=2"
_LOWER = re.compile(rb"(?:^|,)lowerdir\+?=([^,]*)")
_FIELDS_LEFT, _FIELDS_RIGHT = 6, 3


class MountLine(NamedTuple):
    """A line of mountinfo(5): `device` is what stat(2) says in there."""

    device: int
    target: str
    file_system: str
    read_only: bool
    layers: int
    cover: bool


def read_storage(
    definition: InstanceDefinition, digest: str, state_dir: Path, first: int | None
) -> InstanceStorage:
    """Of an instance whose run has the image `digest` of the store, if any, and whose first process is
    `first`, if it runs."""
    record: ImageRecord | None = None
    layers: tuple[LayerUse, ...] = ()
    if digest:
        store = ImageStore(state_dir / "images")
        with suppress(ImageError):  # it was removed by hand
            record = read_record(store, parse_digest(digest))
            layers = tuple(
                LayerUse(digest=layer, packed=_length(store.blobs / hex_of(layer))) for layer in record.layers
            )
    volumes = {volume.target: volume for volume in definition.volumes}
    for target in record.settings.volumes if record else ():
        volumes.setdefault(target, Volume("", target))
    return InstanceStorage(
        image=definition.image if definition.rootfs is None else definition.rootfs,
        digest=digest if record else "",
        size=record.size if record else None,
        layers=layers,
        mounts=_read_mounts(first, volumes) if first is not None else (),
    )


def _length(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _read_mounts(first: int, volumes: Mapping[str, Volume]) -> tuple[MountUse, ...]:
    process = _PROC / str(first)
    try:
        if os.readlink(process / "ns/mnt") == os.readlink(_PROC / "self/ns/mnt"):
            return ()  # it has none of its own
        with (process / "mountinfo").open("rb") as file:
            text = file.read(_BYTES_MAX)
        root = os.open(process / "root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # it has ended, or this user may not know
        return ()
    try:
        return tuple(_measured(root, line, use) for line, use in list_mounts(parse_mounts(text), volumes))
    finally:
        os.close(root)


def parse_mounts(text: bytes) -> Iterator[MountLine]:
    """The lines of a mountinfo. Pure."""
    for line in text.splitlines():
        fields, _, rest = line.partition(b" - ")
        left, right = fields.split(b" "), rest.split(b" ", 2)
        if len(left) < _FIELDS_LEFT or len(right) < _FIELDS_RIGHT:
            continue
        major, _, minor = left[2].partition(b":")
        yield MountLine(
            device=os.makedev(int(major), int(minor)),
            target=os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), left[4])),
            file_system=right[0].decode("ascii", "replace"),
            read_only=b"ro" in left[5].split(b","),
            layers=sum(1 + lower.count(b":") for lower in _LOWER.findall(right[2])),
            cover=_COVER in right[2].split(b","),
        )


def list_mounts(
    lines: Iterable[MountLine], volumes: Mapping[str, Volume]
) -> Iterator[tuple[MountLine, MountUse]]:
    """Those that are the instance's, the root first, without what every root has. `volumes` are by their
    targets. Pure."""
    for line in sorted(lines, key=lambda line: line.target != "/"):
        volume = volumes.get(line.target)
        if volume is None and (line.file_system in _KERNEL or line.cover or line.target in _SYSTEM):
            continue
        yield (
            line,
            MountUse(
                target=clean_text(os.fsencode(line.target)),
                origin=_origin(line, volume),
                source=volume.source if volume else "",
                file_system=line.file_system,
                read_only=line.read_only,
                layers=line.layers,
            ),
        )


def _origin(line: MountLine, volume: Volume | None) -> Origin:
    if volume is not None:
        return Origin.VOLUME if volume.is_named else Origin.DIRECTORY
    if line.target == "/" or line.layers:
        return Origin.ROOT
    return Origin.MEMORY if line.file_system == "tmpfs" else Origin.PROGRAMS


def _measured(root: int, line: MountLine, use: MountUse) -> MountUse:
    """With its sizes, where it has room of its own; a directory of this host's may be on a network."""
    if use.read_only or use.origin in (Origin.DIRECTORY, Origin.PROGRAMS):
        return use
    try:
        fd = open_in_root(root, line.target, os.O_PATH)
    except OSError:
        return use
    try:
        if os.fstat(fd).st_dev != line.device:
            return use
        status = os.fstatvfs(fd)
    finally:
        os.close(fd)
    size, left = (count * status.f_frsize for count in (status.f_blocks, status.f_bfree))
    return replace(use, size=size, used=size - left)
