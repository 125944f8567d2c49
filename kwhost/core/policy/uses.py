"""What a call does with the paths that it is given: the access that rules on files are asked for.

Looking at a name (stat, access, readlink, chdir) needs none: that it exists is no secret.
"""

from collections.abc import Sequence
from types import MappingProxyType

from kwhost.core.policy.constants import CONSTANTS
from kwhost.core.policy.model import Access

__all__ = ["path_accesses"]

_WRITING = (
    "bind chmod chown connect creat fchmodat fchmodat2 fchownat futimesat lchown lremovexattr lsetxattr "
    "mkdir mkdirat mknod mknodat removexattr rename renameat renameat2 rmdir setxattr symlink symlinkat "
    "truncate unlink unlinkat utime utimensat utimes"
)
_READING = "getxattr inotify_add_watch lgetxattr listxattr llistxattr"
_EXECUTING = "execve execveat"
_FIXED = MappingProxyType(
    {
        call: access
        for calls, access in (
            (_WRITING, Access.WRITE),
            (_READING, Access.READ),
            (_EXECUTING, Access.EXECUTE),
        )
        for call in calls.split()
    }
)
# Which argument has the flags.
_OPENING = MappingProxyType({"open": 1, "openat": 2})
_BY_MODE = (Access.READ, Access.WRITE, Access.READ | Access.WRITE, Access.READ | Access.WRITE)


def path_accesses(call: str, arguments: Sequence[int], count: int) -> tuple[Access, ...]:
    """For each of `count` paths what is done with the object; openat2, whose flags are in memory, reads."""
    if call in _OPENING:
        flags = arguments[_OPENING[call]] if _OPENING[call] < len(arguments) else 0
        return (_opening_access(flags),) * count
    if call == "openat2":
        return (Access.READ,) * count
    if call in ("link", "linkat"):
        # A new name must not give what the old one did not: the monitor looks at that, too.
        return (Access.READ, Access.WRITE)[:count]
    return (_FIXED.get(call, Access.NONE),) * count


def _opening_access(flags: int) -> Access:
    if flags & CONSTANTS["O_PATH"]:
        return Access.NONE
    access = _BY_MODE[flags & CONSTANTS["O_ACCMODE"]]
    nameless = flags & CONSTANTS["O_TMPFILE"] == CONSTANTS["O_TMPFILE"]
    changes = nameless or flags & (CONSTANTS["O_CREAT"] | CONSTANTS["O_TRUNC"])
    return access | Access.WRITE if changes else access
