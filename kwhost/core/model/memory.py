"""The memory of an instance, by what it is for."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["InstanceMemory", "MemoryKind", "MemoryUse", "ProcessMemory"]


class MemoryKind(Enum):
    """As far as the host can tell: the program is the file that is mapped lowest, which is where programs are
    loaded, a library one with a name such as x.so.1. Anonymous is what belongs to no file, heap and stacks
    too; shared what is mapped so that others may see what is written. The rest is kwhost's own."""

    PROGRAM = "program"
    LIBRARIES = "libraries"
    FILES = "files"
    ANONYMOUS = "anonymous"
    SHARED = "shared"
    MONITOR = "monitor"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Bytes of one kind in so many `mappings`. `resident` is in memory; in `share` a page that n processes
    have counts as an n-th in each. `written` is what only this process has and has changed."""

    kind: MemoryKind
    mappings: int
    size: int
    resident: int
    share: int
    written: int
    swapped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMemory:
    """Of one process, with a use for each kind that it has, in their order; `pid` is the host's, `program` a
    path in the instance, "" where no file is mapped. `page_tables` are the host's for this process, without
    those of KVM. `cut`: it has more mappings than are read, and `uses` are of the first ones only."""

    pid: int
    program: str
    uses: tuple[MemoryUse, ...]
    page_tables: int
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMemory:
    """`uses` and `page_tables` are the sums of `processes`, by pid; so many more are `left_out`."""

    uses: tuple[MemoryUse, ...]
    page_tables: int
    processes: tuple[ProcessMemory, ...]
    left_out: int = 0
