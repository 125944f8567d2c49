"""What a volume begins with: it is given once, before the first instance gets the volume.

unfilled     there until it is done; empty until it is begun
fill.lock    held by whoever does it
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from kwhost.core.images.on_disk import locked, sync, sync_file_system_of
from kwhost.core.images.removal import empty_directory

__all__ = ["fill_once", "promise_filling"]

_UNFILLED = "unfilled"


def promise_filling(place: Path) -> None:
    """A volume is being made, whose files will be given later. Raises OSError."""
    (place / _UNFILLED).touch()


def fill_once(place: Path, files: Path, fill: Callable[[Path], None]) -> None:
    """Call `fill`, unless somebody has done so, or put anything into the volume; wait for whoever is doing
    it. What one that was killed, or failed, had begun is begun anew. Raises OSError and what `fill` does."""
    from kwhost.core.abi.project_quota import within_quotas  # brings cffi

    unfilled = place / _UNFILLED
    if not unfilled.exists():
        return
    with locked(place / "fill.lock", fcntl.LOCK_EX):
        if not unfilled.exists():  # somebody else was faster
            return
        if unfilled.stat().st_size:
            empty_directory(files)
        if not os.listdir(files):
            unfilled.write_bytes(b"begun\n")
            sync(unfilled)
            with within_quotas():
                fill(files)
            if os.listdir(files):
                sync_file_system_of(files)
        unfilled.unlink()
        sync(place)  # were it back after a power failure, what instances have written would go
