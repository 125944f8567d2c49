"""What differs between the two versions of control groups, as an interface.

Groups are named by their paths beneath the base: TENANT, or TENANT/ID for an instance. A base is kwhost's
directory in a hierarchy; version 1 has several, version 2 has one.
"""

from pathlib import Path
from typing import NamedTuple, Protocol

from kwhost.core.cgroups.files import Setting
from kwhost.core.cgroups.limits import Caps, Missing
from kwhost.core.model.definition import Limits

__all__ = ["GroupUsage", "Version"]


class GroupUsage(NamedTuple):
    """What a group has used so far or uses now; None: not known on this host.

    `memory` is in bytes as the kernel charges it, page cache included; `tasks` and `processes` are the
    host's, kwhost's own and KVM's included, `guest_tasks` those in the guest's own part alone; `oom_kills`
    are processes that were killed because the memory had run out.
    """

    cpu_seconds: float | None = None
    memory: int | None = None
    memory_peak: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    tasks: int | None = None
    processes: int | None = None
    guest_tasks: int | None = None
    oom_kills: int | None = None


class Version(Protocol):
    """Which directories and files a version has for each purpose; only `prepare` changes anything."""

    number: int

    def prepare(self) -> None:
        """Make the bases, and find out which controllers work there."""

    def bases(self) -> tuple[Path, ...]:
        """kwhost's directory in each hierarchy; none where control groups cannot be used."""

    def missing(self, limits: Limits) -> tuple[Missing, ...]:
        """Each limit that cannot be held here, with the reason."""

    def tenant_settings(self, tenant: str, caps: Caps) -> list[Setting]:
        """What to write into a tenant's directories."""

    def instance_directories(self, group: str) -> tuple[Path, ...]:
        """What to make for an instance, in order."""

    def instance_settings(self, group: str, caps: Caps) -> list[Setting]:
        """What to write there."""

    def supervise_directories(self, group: str) -> tuple[Path, ...]:
        """Which groups `supervise` goes to once the instance's first process is there: out of those that are
        frozen."""

    def guest_directories(self, group: str) -> tuple[Path, ...]:
        """Which groups the instance's processes are born in: `supervise` joins them before."""

    def counting_directory(self, group: str) -> Path | None:
        """Which of the guest's groups counts its processes, and may limit them."""

    def usage(self, group: str) -> GroupUsage:
        """What the instance uses."""

    def freezing(self, group: str, *, frozen: bool) -> list[Setting]:
        """What freezes or thaws the instance's processes, never `supervise`; may be repeated. Raises
        LimitError."""

    def is_frozen(self, group: str) -> bool:
        """Whether all of them stand still."""

    def killing(self, group: str) -> list[Setting]:
        """What kills the group, or keeps it from growing while it is killed."""
