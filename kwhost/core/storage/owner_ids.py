"""Whose a volume's files are where the file system cannot map owners: a range of the host's ids that stays
the tenant's, and that all of the tenant's instances with such a volume have.

TENANT/ids         the first of them
TENANT/NAME/ids    the same, of a volume that needs it
"""

import os
from pathlib import Path
from typing import Protocol

from kwhost.core.errors import HostError
from kwhost.core.images.on_disk import sync

__all__ = ["IdRanges", "noted_ids", "own_files", "read_ids"]

_IDS = "ids"


class IdRanges(Protocol):
    """Ranges of ids that nobody else has, as long as this process lives. Both raise HostError."""

    def choose(self) -> int:
        """The first id of a new one."""

    def hold(self, first: int) -> None:
        """Have one that was chosen once."""


def read_ids(directory: Path) -> int | None:
    """The first id that is noted there. Raises HostError."""
    try:
        return int((directory / _IDS).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise HostError(f"{directory / _IDS} is damaged: {error}") from error


def own_files(place: Path, files: Path, ranges: IdRanges | None) -> None:
    """Give the files of a volume that nobody has had to its tenant's id 0, where owners cannot be mapped; an
    instance that has them has those ids then. Callers take turns. Raises OSError, HostError."""
    from kwhost.core.abi.mounting import maps_owners  # brings cffi

    if read_ids(place) is not None:
        return
    opened = os.open(files, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if maps_owners(opened):
            return
        if ranges is None:
            raise HostError(f"the file system of {files} cannot map owners: its volumes need root's daemon")
        first = _tenants_ids(place.parent, ranges)
        os.fchown(opened, first, first)
    finally:
        os.close(opened)
    _write_ids(place, first)


def noted_ids(volumes: Path) -> set[int]:
    """The first ids of all tenants that have a range, whether they have volumes or not. Raises HostError."""
    return {first for file in volumes.glob(f"[!.]*/{_IDS}") if (first := read_ids(file.parent)) is not None}


def _tenants_ids(tenant: Path, ranges: IdRanges) -> int:
    known = read_ids(tenant)
    if known is not None:
        ranges.hold(known)
        return known
    noted = noted_ids(tenant.parent)
    while (first := ranges.choose()) in noted:  # nobody could hold it for the tenant that has it
        pass
    _write_ids(tenant, first)
    return first


def _write_ids(directory: Path, first: int) -> None:
    new = directory / f"{_IDS}.new"
    new.write_text(f"{first}\n")
    sync(new)
    new.rename(directory / _IDS)
    sync(directory)
