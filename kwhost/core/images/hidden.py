"""What a volume hides of an image. The layers are never changed, but what they have is hostile."""

import os
from pathlib import Path

from kwhost.core.errors import HostError
from kwhost.core.images.image import Image
from kwhost.core.model.mounts import MountKind

__all__ = ["adopt_owner"]

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def adopt_owner(files: Path, image: Image, target: str) -> None:
    """Give an empty volume the owner and the mode of the image's directory in whose place it is: the program
    may be one that has to write to it. An ordinary user's volumes are the user's. Raises HostError."""
    if os.geteuid() != 0:
        return
    try:
        hidden = _find(image, target)
        if hidden and not any(files.iterdir()):
            os.chown(files, hidden.st_uid, hidden.st_gid)
            files.chmod(hidden.st_mode & 0o1777)
    except OSError as error:
        raise HostError(f"cannot prepare the volume for {target}: {error.strerror}") from error


def _find(image: Image, target: str) -> os.stat_result | None:
    """As overlayfs would show it, where no link is on the way."""
    if not image.digest or image.mounts[0].kind is not MountKind.OVERLAY:
        return None
    for layer in (image.mounts[0].source or "").split(":"):
        found, covers = _look(layer, target.strip("/").split("/"))
        if found or covers:
            return found
    return None


def _look(layer: str, names: list[str]) -> tuple[os.stat_result | None, bool]:
    """A layer's own, and whether it hides those below."""
    place, covers = os.open(layer, _DIRECTORY), False
    try:
        for name in names:
            try:
                below = os.open(name, _DIRECTORY, dir_fd=place)
            except FileNotFoundError:
                return None, covers
            except OSError:  # a link, a whiteout, or a file
                return None, True
            os.close(place)
            place = below
            covers = covers or "user.overlay.opaque" in os.listxattr(f"/proc/self/fd/{place}")
        return os.fstat(place), True
    finally:
        os.close(place)
