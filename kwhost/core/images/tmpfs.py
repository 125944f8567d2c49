"""Files in memory that an instance has besides its image."""

from kwhost.core.errors import UsageError
from kwhost.core.model.mounts import Mount, MountFlag, MountKind
from kwhost.core.model.tmpfs import Tmpfs

__all__ = ["plan_tmpfs"]

_FILE_LEAST = 4096  # what a file of one byte takes; the kernel's memory for the file itself comes on top
_FILES_LEAST = 128


def plan_tmpfs(tmpfs: Tmpfs, ids: int) -> Mount:
    """The step that makes it, in an instance with so many ids; its size is decided. Raises UsageError."""
    if max(tmpfs.uid, tmpfs.gid) >= ids:
        raise UsageError(
            f"the tmpfs at {tmpfs.target} cannot be {tmpfs.uid}:{tmpfs.gid}'s: the instance's ids are 0 to "
            f"{ids - 1}"
        )
    if tmpfs.size is None:
        raise AssertionError(f"nobody has decided the size of {tmpfs.target}")
    options = {
        "size": tmpfs.size,
        "nr_inodes": max(_FILES_LEAST, tmpfs.size // _FILE_LEAST),
        "mode": f"{tmpfs.mode:o}",
        "uid": tmpfs.uid,
        "gid": tmpfs.gid,
    }
    data = ",".join(f"{name}={value}" for name, value in options.items())
    flags = MountFlag.NONE if tmpfs.executable else MountFlag.NO_EXEC
    return Mount(MountKind.TMPFS, tmpfs.target, flags=flags, data=data)
