"""What the kernel says about a file in an instance, as an error for whoever copies it."""

import errno

from kwhost.core.errors import Conflict, HostError, KwhostError, NotFound, PermissionDenied, UsageError

__all__ = ["explain"]

_MEANINGS: dict[int, tuple[type[KwhostError], str]] = {
    errno.ENOENT: (NotFound, "there is no {path} in the instance"),
    errno.ENOTDIR: (UsageError, "{path} is no directory in the instance, or leads through something else"),
    errno.EISDIR: (UsageError, "{path} is a directory in the instance; it is not replaced by something else"),
    errno.ENOTEMPTY: (UsageError, "{path} is a directory in the instance; it is not replaced"),
    errno.ENAMETOOLONG: (UsageError, "{path} is too long for a path"),
    errno.EINVAL: (UsageError, "{path} cannot be a path there"),
    errno.ELOOP: (UsageError, "{path} leads through too many symbolic links"),
    errno.EXDEV: (UsageError, "{path} leads out of the directory that is copied to"),
    errno.EACCES: (PermissionDenied, "{path} is closed to the instance's own root"),
    errno.EPERM: (PermissionDenied, "{path} is closed to the instance's own root"),
    errno.EROFS: (Conflict, "{path} is on a read-only file system of the instance"),
    errno.ENOSPC: (Conflict, "{path} cannot be written: the instance's file system is full"),
    errno.EDQUOT: (Conflict, "{path} cannot be written: the quota of the instance's file system is used up"),
    errno.EBUSY: (Conflict, "{path} is in use in the instance, as a mounted file is"),
}


def explain(error: OSError, path: str) -> KwhostError:
    """The error to raise for `path`."""
    kind, text = _MEANINGS.get(error.errno or 0, (HostError, "{path} cannot be copied: {reason}"))
    return kind(text.format(path=path, reason=error.strerror or error))
