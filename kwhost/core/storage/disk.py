"""Volumes that are an ext4 in a file: its size bounds what they hold, and cannot be exceeded from inside.

The file's space is taken when it is made. So a volume that has room never meets a full disk of the host's,
and nobody's volume can fill that of another.
"""

import errno
import fcntl
import os
import subprocess
from pathlib import Path

from kwhost.core.images.free_room import free_room
from kwhost.core.images.on_disk import locked
from kwhost.core.storage.loop_device import is_attached, open_loop_device

__all__ = [
    "DISK_LEAST",
    "MKFS_PATH",
    "SPACE_LOCK",
    "DiskBacking",
    "format_disk",
    "hide_disk",
    "show_disk",
    "take_space",
]

# In the state directory: held while room is looked for and taken.
SPACE_LOCK = "space.lock"
# Few users' own paths have it.
MKFS_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
# With less ext4 has no journal, and little room beside its own tables.
DISK_LEAST = 8 << 20
_DISK = "disk"
_FILES = "data"
_BLOCK = 4096
# The host's discards would give the space back that was taken.
_OPTIONS = "nodiscard,lazy_itable_init=1,lazy_journal_init=1"
_MAKE_SECONDS = 120.0


class DiskBacking:
    """See VolumeBacking. The files are in a directory of their own, beside the file system's lost+found."""

    def make(self, place: Path, size: int | None) -> None:
        """See VolumeBacking."""
        assert size is not None
        whole = size // _BLOCK * _BLOCK
        (place / _DISK).touch(mode=0o600, exist_ok=False)
        take_space(place / _DISK, whole, place.parent.parent)
        empty = place / "root"
        (empty / _FILES).mkdir(parents=True)
        (empty / _FILES).chmod(0o755)
        format_disk(place / _DISK, "-E", _OPTIONS, "-d", str(empty))
        (empty / _FILES).rmdir()
        empty.rmdir()

    def show(self, place: Path, mount_point: Path) -> Path:
        """See VolumeBacking."""
        if not os.path.ismount(mount_point):
            show_disk(place / _DISK, mount_point)
        return mount_point / _FILES

    def hide(self, mount_point: Path) -> None:
        """See VolumeBacking."""
        hide_disk(mount_point)

    def count_used(self, files: Path) -> int:
        """See VolumeBacking."""
        status = os.statvfs(files)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def is_busy(self, place: Path) -> bool:
        """See VolumeBacking."""
        return is_attached(place / _DISK)

    def remove(self, place: Path) -> None:
        """See VolumeBacking."""


def take_space(disk: Path, size: int, state_dir: Path) -> None:
    """Take all the space that a file of the state directory will need, so that what is in it never meets a
    full disk. Raises OSError, at once where so much may not be taken."""
    fd = os.open(disk, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with locked(state_dir / SPACE_LOCK, fcntl.LOCK_EX):  # no two find the same room
            if size - os.fstat(fd).st_blocks * 512 > free_room(disk):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.posix_fallocate(fd, 0, size)
    finally:
        os.close(fd)


def show_disk(disk: Path, mount_point: Path) -> None:
    """Mount the file system in a file. Raises OSError."""
    from kwhost.core.abi.mounting import mount_disk  # brings cffi, not for who only lists the storages

    fd, device = open_loop_device(disk)
    try:
        mount_disk(device, str(mount_point))
    finally:
        os.close(fd)


def hide_disk(mount_point: Path) -> None:
    """Unmount whatever is mounted there. Raises OSError."""
    from kwhost.core.abi.mounting import unmount

    while os.path.ismount(mount_point):
        unmount(str(mount_point))


def format_disk(disk: Path, *options: str) -> None:
    """Make an ext4 in a file, as large as that is. Raises OSError."""
    command = ["mkfs.ext4", "-q", "-F", "-m", "0", "-b", str(_BLOCK), *options, str(disk)]
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_MAKE_SECONDS,
            env={"PATH": MKFS_PATH, "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise OSError(errno.ENOENT, "there is no mkfs.ext4; install e2fsprogs") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(errno.EIO, f"mkfs.ext4: {said[-1] if said else error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise OSError(errno.ETIMEDOUT, "mkfs.ext4 does not come to an end") from error
