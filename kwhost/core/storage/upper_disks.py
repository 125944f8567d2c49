"""Disks for what instances write to their roots: an ext4 of a given size each, for one run.

    STATE_DIR/uppers/SIZE       an empty one; copying it takes a millisecond, which making one does not
    STATE_DIR/uppers/.copy-...  what a run gets, until it is mounted; then it has no name any more
    RUN_DIR/uppers/TOKEN-...    where a daemon mounts it, while an instance starts; each daemon has its token

As it has no name, it goes with the instance's own mount, whoever is killed. All of its space is taken before:
no instance meets a full disk of the host's, or fills it.
"""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kwhost.core.errors import HostError, UsageError
from kwhost.core.images.free_room import free_room
from kwhost.core.model.units import format_bytes
from kwhost.core.storage.disk import DISK_LEAST, format_disk, hide_disk, show_disk, take_space

__all__ = ["UpperDisks"]

_FICLONE = 0x40049409  # from <linux/fs.h>
# Sizes that are kept ready.
_READY = 16
_OPTIONS = ("-O", "^has_journal", "-E", "nodiscard,lazy_itable_init=1")


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Turn what the disk says into one line. Raises HostError."""
    try:
        yield
    except OSError as error:
        advice = "; free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise HostError(f"cannot {what}: {error.strerror or error}{advice}") from error


class UpperDisks:
    """Of one daemon. Every method blocks."""

    def __init__(self, state_dir: Path, run_dir: Path) -> None:
        self._path = state_dir / "uppers"
        self._places = run_dir / "uppers"
        self._token = secrets.token_hex(8)

    @contextmanager
    def fresh(self, size: int) -> Iterator[Path]:
        """An empty disk's directory, for an instance that starts. Raises HostError, UsageError."""
        if os.geteuid() != 0:
            raise UsageError("changes on a disk can be had from root's daemon alone")
        if size < DISK_LEAST:
            raise UsageError(f"a disk has at least {format_bytes(DISK_LEAST)} of storage")
        if ":" in str(self._places):
            raise UsageError(f"a disk cannot be mounted in {self._places}: the path must not contain ':'")
        place = self._places.resolve() / f"{self._token}-{secrets.token_hex(8)}"
        try:
            with _telling("make a disk for what an instance writes"):
                place.mkdir(mode=0o700, parents=True)
                self._mount(size, place)
            yield place
        finally:
            with _telling("unmount an instance's disk"), suppress(FileNotFoundError):
                hide_disk(place)
                place.rmdir()

    def _mount(self, size: int, place: Path) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if size > free_room(self._path):  # even an empty disk of that size would cost room
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        disk = self._path / f".copy-{place.name}"
        try:
            _copy(self._ready(size), disk)
            take_space(disk, size, self._path.parent)
            show_disk(disk, place)
        finally:
            disk.unlink(missing_ok=True)

    def _ready(self, size: int) -> Path:
        """An empty disk of the size, which is never written to."""
        ready = self._path / str(size)
        if not ready.exists():
            made = self._path / f".new-{self._token}-{secrets.token_hex(8)}"
            try:
                with made.open("xb") as file:
                    file.truncate(size)
                format_disk(made, *_OPTIONS)
                made.rename(ready)
            finally:
                made.unlink(missing_ok=True)
        os.utime(ready)
        known = sorted(self._path.glob("[0-9]*"), key=lambda path: path.stat().st_mtime)
        for old in known[:-_READY]:
            old.unlink(missing_ok=True)
        return ready

    def repair(self) -> None:
        """Take away what a killed daemon left. Raises HostError."""
        with _telling("take away disks that are left"):
            for place in self._places.glob("*"):
                if not self._is_ours(place):
                    hide_disk(place)
                    place.rmdir()
            for left in (*self._path.glob(".copy-*"), *self._path.glob(".new-*")):
                if not self._is_ours(left):
                    left.unlink(missing_ok=True)

    def _is_ours(self, path: Path) -> bool:
        return f"{self._token}-" in path.name


def _copy(source: Path, target: Path) -> None:
    """What has been written of a sparse file, shared where the file system can."""
    with source.open("rb", buffering=0) as file, target.open("xb", buffering=0) as copy:
        os.fchmod(copy.fileno(), 0o600)
        with suppress(OSError):
            fcntl.ioctl(copy.fileno(), _FICLONE, file.fileno())
            return
        size = os.fstat(file.fileno()).st_size
        os.ftruncate(copy.fileno(), size)
        end = 0
        while (start := _next_data(file.fileno(), end)) is not None:
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            while start < end:
                start += os.copy_file_range(file.fileno(), copy.fileno(), end - start, start, start)


def _next_data(file: int, start: int) -> int | None:
    try:
        return os.lseek(file, start, os.SEEK_DATA)
    except OSError:  # ENXIO: there is no more
        return None
