"""Loop devices: files as disks. Source: <linux/loop.h>.

A device goes by itself with its last user (LO_FLAGS_AUTOCLEAR): with the last mount of what is on it, whoever
was killed.
"""

import errno
import fcntl
import os
import struct
from pathlib import Path

__all__ = ["is_attached", "open_loop_device"]

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_AUTOCLEAR, _DIRECT_IO = 4, 16
# struct loop_config: fd, block_size, then struct loop_info64, of which only lo_flags is given.
_CONFIG = struct.Struct("=II 52x I 176x 64x")
_BLOCK = 4096
_ATTEMPTS = 100


def _backing(device: Path) -> str:
    try:
        return (device / "loop/backing_file").read_text(encoding="utf-8", errors="surrogateescape")[:-1]
    except OSError:
        return ""


def _devices_of(file: Path) -> list[str]:
    path = os.path.realpath(file)
    return [device.name for device in Path("/sys/block").glob("loop*") if _backing(device) == path]


def is_attached(file: Path) -> bool:
    """Whether a device shows the file: somebody uses it."""
    return bool(_devices_of(file))


def open_loop_device(file: Path) -> tuple[int, str]:
    """The device that shows the file, made where there is none: a descriptor that keeps it, which is the
    caller's, and its path. There are never two of one file's, if callers take turns. Raises OSError."""
    for name in _devices_of(file):
        fd = os.open(f"/dev/{name}", os.O_RDWR | os.O_CLOEXEC)
        # Only now it cannot become another file's.
        if _backing(Path("/sys/block") / name) == os.path.realpath(file):
            return fd, f"/dev/{name}"
        os.close(fd)
    disk = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return _attach(disk)
    finally:
        os.close(disk)


def _attach(disk: int) -> tuple[int, str]:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            path = f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(fd, _LOOP_CONFIGURE, _CONFIG.pack(disk, _BLOCK, _AUTOCLEAR | _DIRECT_IO))
            except OSError as error:
                os.close(fd)
                if error.errno != errno.EBUSY:  # else somebody else was faster
                    raise
            else:
                return fd, path
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "no loop device is free")
