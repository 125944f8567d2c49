"""The section [plugins.audit]."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

from kwhost.core.errors import UsageError
from kwhost.core.model.units import parse_bytes, parse_duration
from msgspec import Meta

__all__ = ["SIZE_MIN", "Configuration", "Flush"]

# So that a file has room for a line of any length.
SIZE_MIN = 256 * 1024
_INTERVAL_MIN = 0.1


class Flush(Enum):
    """When lines are brought to the disk, so that they survive a crash of the host."""

    EACH = "each"
    INTERVAL = "interval"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """`path`: the file. `size`: a file that would become larger is rotated away; `keep`: how many such files
    there may be besides. `fsync`: see Flush; `fsync_interval`: how often, for Flush.INTERVAL."""

    path: str
    size: str = "64M"
    keep: Annotated[int, Meta(ge=0, le=1000)] = 8
    fsync: Flush = Flush.INTERVAL
    fsync_interval: str = "1s"

    def __post_init__(self) -> None:
        try:
            if self.size_bytes < SIZE_MIN:
                raise ValueError(f"size must be {SIZE_MIN // 1024}k or more, not {self.size}")
            if self.flush_seconds < _INTERVAL_MIN:
                raise ValueError(f"fsync_interval must be 100ms or more, not {self.fsync_interval}")
        except UsageError as error:
            raise ValueError(str(error)) from error
        if not self.path.startswith("/") or self.path.endswith("/") or "\0" in self.path:
            raise ValueError(f"path must be the absolute path of a file, not {self.path!r}")

    @property
    def file(self) -> Path:
        """`path`."""
        return Path(self.path)

    @property
    def size_bytes(self) -> int:
        """`size` as a number."""
        return parse_bytes(self.size)

    @property
    def flush_seconds(self) -> float:
        """`fsync_interval` as a number."""
        return parse_duration(self.fsync_interval)
