"""What an instance's root file system is put together from.

The names of kinds and flags are those of the ABI header (KW_MOUNT_...), which gives them numbers.
"""

from enum import Enum, Flag, auto
from typing import NamedTuple

__all__ = ["Mount", "MountFlag", "MountKind"]


class MountKind(Enum):
    """What is put at a mount's target."""

    TMPFS = auto()
    BIND = auto()
    OVERLAY = auto()
    PROC = auto()
    SYSFS = auto()
    DEVPTS = auto()
    MQUEUE = auto()
    DIRECTORY = auto()
    SYMLINK = auto()
    FILE = auto()
    HIDE = auto()
    SECRETS = auto()


class MountFlag(Flag):
    """How it is put there."""

    NONE = 0
    READ_ONLY = auto()
    ID_MAPPED = auto()
    RECURSIVE = auto()
    NO_EXEC = auto()
    OPTIONAL = auto()
    DEVICE = auto()
    NO_LINKS = auto()
    UPPER = auto()


class Mount(NamedTuple):
    """One step of making a root; steps are made in order, targets lie inside the new root."""

    kind: MountKind
    target: str
    source: str | None = None
    flags: MountFlag = MountFlag.NONE
    data: str | None = None
    mode: int = 0
