"""What an instance sees besides its image, `-v SRC:DST[:ro]`: host directories and files, named volumes."""

import re
from dataclasses import dataclass, replace

from kwhost.core.errors import UsageError
from kwhost.core.model.places import place_in_instance

__all__ = [
    "AUTO_STORAGE",
    "DEFAULT_VOLUME_SIZE",
    "IMAGE_VOLUME_SIZE",
    "StoredVolume",
    "Volume",
    "parse_volume",
    "volume_name",
]

# The best that there is on this host keeps new volumes.
AUTO_STORAGE = "auto"
# Of a volume that is made without saying how large.
DEFAULT_VOLUME_SIZE = 1 << 30
# Of one that an instance has because its image wants it: every instance has its own.
IMAGE_VOLUME_SIZE = 256 << 20
_NO_NAME = "tmpfs"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Volume:
    """A host path, or the name of a volume of the tenant's, and where the instance sees it."""

    source: str
    target: str
    read_only: bool = False

    @property
    def is_named(self) -> bool:
        """Whether `source` is a name."""
        return "/" not in self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVolume:
    """A volume of a tenant. `kind` is the storage that keeps it: quota (a directory that the file system
    bounds), ext4 (in a file of its own), directory, or a plugin's. `size` is what it can hold, in bytes, with
    what its file system needs (None: there is no bound); `created` is a Unix time. `instances` are those that
    have it; `used` is how many bytes its files take (None: not asked). `instance` is the id of the one that
    it was made for because its image wants it: it goes with that one. `first_id` is the host's id of those
    that are 0 inside, where the file system cannot map owners (None: it can, or nobody had the volume)."""

    name: str
    tenant: str
    kind: str
    size: int | None
    created: float
    instances: tuple[str, ...] = ()
    used: int | None = None
    instance: str | None = None
    first_id: int | None = None

    def with_instances(self, names: tuple[str, ...]) -> "StoredVolume":
        """The same, with who has it."""
        return replace(self, instances=names)


def volume_name(text: str) -> str:
    """Check the name of a volume. Raises UsageError."""
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"{text[:100]!r} is no name for a volume: 1 to 64 letters, digits, '_', '.' or '-', with a "
            "letter or digit first; a directory is written with a slash, as ./DIRECTORY"
        )
    if text == _NO_NAME:
        raise UsageError(f"no volume can be called {text}: {text}:/PATH are files in memory")
    return text


def parse_volume(text: str) -> Volume:
    """Read SRC:DST[:ro|:rw]; SRC is a volume's name, or a path, with a leading ./ where it is relative."""
    parts = text.split(":")
    mode = "rw"
    if len(parts) == 3:
        mode = parts.pop()
    if len(parts) != 2 or mode not in ("ro", "rw") or not all(parts):
        raise UsageError(f"{text!r} is no volume: write SRC:DST or SRC:DST:ro")
    source, target = parts
    if source in (".", ".."):
        source = f"./{source}"
    if "/" not in source:
        volume_name(source)
    place = place_in_instance(target, "the volume's place")
    return Volume(source=source, target=place, read_only=mode == "ro")
