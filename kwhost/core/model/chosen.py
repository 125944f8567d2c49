"""What an instance's owner chooses among, for commands that need no more of a definition."""

from enum import Enum

__all__ = ["Changes", "Restart"]


class Restart(Enum):
    """What follows the end of an instance that nobody stopped."""

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class Changes(Enum):
    """Where an instance's changes to its root go, for as long as it runs: to memory, which counts as its own,
    or to a disk as large as its storage."""

    MEMORY = "memory"
    DISK = "disk"
