"""Archives of images for measurements, as `docker save` writes them."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["ImageArchive", "make_archive"]

_FILES_IN_DIRECTORY = 100


class ImageArchive(NamedTuple):
    """The image's name, its archive, and the archive of its only layer by itself."""

    name: str
    archive: Path
    layer: Path


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, 1_700_000_000
    archive.addfile(entry, io.BytesIO(content))


def _write_layer(path: Path, programs: Iterable[Path], files: int, size: int) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as layer:
        for program in programs:
            _add(layer, f"bin/{program.name}", program.read_bytes(), 0o755)
        for number in range(files):
            directory, name = divmod(number, _FILES_IN_DIRECTORY)
            _add(layer, f"usr/share/directory-{directory}/file-{name}", os.urandom(size))


def make_archive(directory: Path, name: str, programs: Iterable[Path], files: int, size: int) -> ImageArchive:
    """An image NAME:1 with programs in /bin, and so many files of so many bytes of noise in /usr/share."""
    made = ImageArchive(f"{name}:1", directory / f"{name}.tar", directory / f"{name}-layer.tar")
    _write_layer(made.layer, programs, files, size)
    with made.layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    root = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    manifest = [{"Config": "config.json", "RepoTags": [made.name], "Layers": ["0/layer.tar"]}]
    with tarfile.open(made.archive, "w", format=tarfile.GNU_FORMAT) as archive:
        config = {"architecture": "amd64", "os": "linux", "rootfs": root}
        _add(archive, "config.json", json.dumps(config).encode())
        archive.add(made.layer, "0/layer.tar")
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return made
