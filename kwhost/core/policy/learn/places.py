"""What directories are for: which of them may be opened as a whole, and where names have no meaning."""

__all__ = ["TEMPORARY", "Components", "may_open"]

# The names of a path, or of a pattern.
Components = tuple[bytes, ...]
# Where programs make files with names of no meaning.
TEMPORARY = ((b"tmp",), (b"var", b"tmp"), (b"dev", b"shm"), (b"run", b"lock"))
# Directories that are never opened as a whole, and those of which nothing but single names is.
_TOP_NAMES = "bin boot dev etc home lib lib32 lib64 media mnt opt proc root run sbin srv sys tmp usr var"
_BROAD_NAMES = "usr/bin usr/lib usr/lib32 usr/lib64 usr/libexec usr/local usr/sbin usr/share var/lib"
_TOP = frozenset((name.encode(),) for name in _TOP_NAMES.split())
_BROAD = _TOP | {tuple(path.encode().split(b"/")) for path in _BROAD_NAMES.split()}
# Where each name is something of its own.
_SINGLE = (b"dev", b"proc", b"sys")


def may_open(directory: Components, *, deep: bool) -> bool:
    """Whether a pattern may take the place of names in, or with `deep` anywhere beneath, a directory."""
    if not directory or directory in _TOP:
        return False
    if directory[0] in _SINGLE or (directory[0] == b"home" and len(directory) == 2):
        return False
    return not (deep and directory in _BROAD)
