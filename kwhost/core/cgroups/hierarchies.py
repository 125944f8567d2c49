"""Which control group hierarchies this process sees: /proc/self/mountinfo and /proc/self/cgroup.

The formats are those of proc(5) and cgroups(7). Version 1 has a hierarchy for each controller, or for a few
that are mounted together ("cpu,cpuacct"); version 2 is one hierarchy; hybrid hosts have both, and a
controller works in one of them.
"""

import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import NamedTuple

__all__ = ["Controller", "Hierarchies", "Hierarchy", "parse_hierarchies", "read_hierarchies"]

_OCTAL = re.compile(r"\\([0-7]{3})")
_DELETED = " (deleted)"


class Controller(Enum):
    """What instances need of the kernel's controllers, by their names in version 1."""

    CPU = "cpu"
    ACCOUNTING = "cpuacct"
    MEMORY = "memory"
    PIDS = "pids"
    BLOCK = "blkio"
    FREEZER = "freezer"


_BY_NAME = {controller.value: controller for controller in Controller}


class Hierarchy(NamedTuple):
    """A mounted hierarchy.

    `root` is the group that the mount point shows, `own` the group of this process (None: not known); both
    are named as this process's cgroup namespace names them.
    """

    mount_point: Path
    root: str
    own: str | None
    read_only: bool = False

    def path_to_own(self) -> tuple[Path, ...]:
        """The directories from the mount point down to this process's own group.

        Only the mount point where the own group lies outside of what the mount shows.
        """
        if self.own is None:
            return (self.mount_point,)
        root, own = PurePosixPath(self.root), PurePosixPath(self.own)
        if ".." in root.parts or ".." in own.parts or not own.is_relative_to(root):
            return (self.mount_point,)
        below = own.relative_to(root)
        return tuple(self.mount_point / part for part in reversed((below, *below.parents)))


class Hierarchies(NamedTuple):
    """Version 2's hierarchy, and version 1's by controller."""

    v2: Hierarchy | None
    v1: dict[Controller, Hierarchy]


class _Mount(NamedTuple):
    kind: str
    options: frozenset[str]
    hierarchy: Hierarchy


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _parse_mounts(mountinfo: str) -> Iterator[_Mount]:
    """The control group mounts; lines that make no sense are passed over."""
    for line in mountinfo.split("\n"):
        mount, _, filesystem = line.partition(" - ")
        fields, kind_fields = mount.split(" "), filesystem.split(" ")
        if len(fields) < 6 or len(kind_fields) < 3 or kind_fields[0] not in ("cgroup", "cgroup2"):
            continue
        options = frozenset(kind_fields[2].split(","))
        yield _Mount(
            kind=kind_fields[0],
            options=options,
            hierarchy=Hierarchy(
                mount_point=Path(_unescape(fields[4])),
                root=_unescape(fields[3]),
                own=None,
                read_only="ro" in options or "ro" in fields[5].split(","),
            ),
        )


def _parse_own_groups(cgroup: str) -> dict[str, str]:
    """This process's group by controller; version 2's by the empty name."""
    own = {}
    for line in cgroup.split("\n"):
        fields = line.split(":", 2)
        if len(fields) == 3 and fields[2].startswith("/") and not fields[2].endswith(_DELETED):
            own.update(dict.fromkeys(fields[1].split(","), fields[2]))
    return own


def _preference(mount: _Mount) -> tuple[bool, bool]:
    """Of several mounts of a hierarchy, one that can be written and shows all of it comes first."""
    return mount.hierarchy.read_only, mount.hierarchy.root != "/"


def parse_hierarchies(mountinfo: str, cgroup: str) -> Hierarchies:
    """Bring the texts of the two files together."""
    own = _parse_own_groups(cgroup)
    v2: Hierarchy | None = None
    v1: dict[Controller, Hierarchy] = {}
    for mount in sorted(_parse_mounts(mountinfo), key=_preference):
        if mount.kind == "cgroup2":
            v2 = v2 or mount.hierarchy._replace(own=own.get(""))
            continue
        for name in mount.options & _BY_NAME.keys():
            v1.setdefault(_BY_NAME[name], mount.hierarchy._replace(own=own.get(name)))
    return Hierarchies(v2, v1)


def read_hierarchies() -> Hierarchies:
    """What the kernel says of this process now."""
    texts = [
        Path("/proc/self", name).read_text(encoding="utf-8", errors="surrogateescape")
        for name in ("mountinfo", "cgroup")
    ]
    return parse_hierarchies(*texts)
