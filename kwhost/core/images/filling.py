"""What a new volume begins with: what the image has in the place where it is mounted.

The layers are hostile, but never change; what is in the volume may be changed meanwhile (tree_copy).
"""

import os
from contextlib import ExitStack
from pathlib import Path

from kwhost.core.errors import HostError
from kwhost.core.images.image import Image
from kwhost.core.images.layered import find_directories
from kwhost.core.images.tree_copy import TreeCopy
from kwhost.core.model.mounts import MountKind

__all__ = ["fill_volume"]

# Directories at once: what the daemon opens, others cannot.
_OPENED_MAX = 500
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def fill_volume(files: Path, image: Image, target: str, first_id: int = 0) -> None:
    """Give an empty volume the files that the image has at `target`, with their owners, counted from
    `first_id`. An ordinary user, who may not give files away, gets an empty one. Raises HostError, with what
    is done by then."""
    if os.geteuid() != 0 or not image.digest or image.mounts[0].kind is not MountKind.OVERLAY:
        return
    layers = [Path(layer) for layer in (image.mounts[0].source or "").split(":")]
    try:
        with ExitStack() as held:
            sources = [_opened(path, held) for path in find_directories(layers, target)]
            if sources:
                TreeCopy(_opened(files, held), first_id=first_id, opened=_OPENED_MAX).fill(sources)
    except OSError as error:
        reason = error.strerror or error
        raise HostError(f"cannot copy what the image has at {target} into the volume: {reason}") from error


def _opened(path: Path, held: ExitStack) -> int:
    fd = os.open(path, _DIRECTORY)
    held.callback(os.close, fd)
    return fd
