"""Volumes that are directories: what an ordinary user can have, without a bound on their size."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["DirectoryBacking"]

_FILES = "data"
# Files with several names that are known again; each name of more of them counts.
_KNOWN_MAX = 100_000


class DirectoryBacking:
    """See VolumeBacking."""

    def make(self, place: Path, size: int | None) -> None:
        """See VolumeBacking."""
        assert size is None
        (place / _FILES).mkdir(mode=0o755)

    def show(self, place: Path, mount_point: Path) -> Path:  # noqa: ARG002 - nothing has to be mounted
        """See VolumeBacking."""
        return place / _FILES

    def hide(self, mount_point: Path) -> None:
        """See VolumeBacking."""

    def count_used(self, files: Path) -> int:
        """See VolumeBacking. What cannot be read counts nothing."""
        used, known = 0, set[tuple[int, int]]()
        waiting = [str(files)]
        while waiting:
            with suppress(OSError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif status.st_nlink > 1:
                        if (status.st_dev, status.st_ino) in known:
                            continue
                        if len(known) < _KNOWN_MAX:
                            known.add((status.st_dev, status.st_ino))
                    used += status.st_blocks * 512
        return used

    def is_busy(self, place: Path) -> bool:  # noqa: ARG002 - the kernel does not say
        """See VolumeBacking."""
        return False

    def remove(self, place: Path) -> None:
        """See VolumeBacking."""
