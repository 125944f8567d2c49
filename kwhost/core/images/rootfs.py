"""`--rootfs DIR`: a directory as the root, unchanged by what the instance writes.

The directory is the lower layer of an overlay, id-mapped where its file system can, so that its
owners 0 to 65535 are the instance's own.
"""

import os

from kwhost.core.errors import ImageError
from kwhost.core.images.accounts import read_accounts
from kwhost.core.images.image import Image
from kwhost.core.images.system_dirs import system_mounts
from kwhost.core.model.mounts import Mount, MountFlag, MountKind

__all__ = ["check_rootfs", "plan_rootfs", "rootfs_image"]


def check_rootfs(directory: str) -> str:
    """The directory's absolute path; an ImageError where it cannot be a root."""
    try:
        path = os.path.realpath(directory, strict=True)
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise ImageError(f"cannot use the root file system {directory}: {error.strerror}") from error
    if path == "/":
        raise ImageError("--rootfs / would give away this whole machine; use --image host")
    if ":" in path:
        raise ImageError(f"cannot use the root file system {path}: its path must not contain ':'")
    return path


def plan_rootfs(path: str) -> tuple[Mount, ...]:
    """The steps that make the root."""
    return (Mount(MountKind.OVERLAY, "/", path, MountFlag.ID_MAPPED | MountFlag.NO_LINKS), *system_mounts())


def rootfs_image(directory: str) -> Image:
    """A directory as an image."""
    path = check_rootfs(directory)
    return Image(mounts=plan_rootfs(path), accounts=read_accounts(path))
