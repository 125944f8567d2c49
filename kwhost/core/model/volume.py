"""Host directories and files that an instance sees: `-v SRC:DST[:ro]`."""

import posixpath
from dataclasses import dataclass

from kwhost.core.errors import NotAvailableYet, UsageError

__all__ = ["Volume", "parse_volume"]


@dataclass(frozen=True, slots=True)
class Volume:
    """A host path and where the instance sees it."""

    source: str
    target: str
    read_only: bool = False


def parse_volume(text: str) -> Volume:
    """Read SRC:DST[:ro|:rw]; SRC is a path, with a leading ./ where it is relative."""
    parts = text.split(":")
    mode = "rw"
    if len(parts) == 3:
        mode = parts.pop()
    if len(parts) != 2 or mode not in ("ro", "rw") or not all(parts):
        raise UsageError(f"{text!r} is no volume: write SRC:DST or SRC:DST:ro")
    source, target = parts
    if "/" not in source and source not in (".", ".."):
        raise NotAvailableYet(f"the named volume {source!r} (a directory is written ./{source})")
    if not target.startswith("/"):
        raise UsageError(f"the volume's place in the instance must be absolute, not {target!r}")
    target = "/" + posixpath.normpath(target).lstrip("/")
    if target == "/":
        raise UsageError("a volume cannot be the instance's root; use --rootfs for that")
    return Volume(source=source, target=target, read_only=mode == "ro")
