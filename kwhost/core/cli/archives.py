"""Tar archives to and from an instance. What an instance sends is hostile."""

import os
import posixpath
import sys
from collections.abc import Iterable, Iterator
from io import RawIOBase
from pathlib import Path
from threading import Thread
from typing import Any, cast

from kwhost.core.errors import HostError, UsageError

if sys.version_info >= (3, 11, 4):
    import tarfile
else:  # before it, as in Debian 12, the standard library knows no filters
    from backports import tarfile  # type: ignore[no-redef]

__all__ = ["pack", "unpack"]

_PIECE = 64 * 1024


class _Reader(RawIOBase):
    """Pieces as a file."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end."""
        self._rest = self._rest or next(self._pieces, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Arrival:
    """Decides for each member of an archive where it may go: only to `top` or beneath it, never through a
    link of the same archive, and as nothing but a file, a directory or a link. Where a symbolic link leads
    is its own affair, as with `cp -a`: nothing is written through it.

    tarfile's own filter is asked too; it looks at the file system, this at names alone.
    """

    def __init__(self, top: str) -> None:
        self._top = top
        self._first = ""
        self._links: set[str] = set()
        self._files: set[str] = set()

    def place(self, member: tarfile.TarInfo, destination: str) -> tarfile.TarInfo:
        """The member as it may be unpacked. Raises UsageError."""
        name = self._rename(posixpath.normpath(member.name))
        if any(parent in self._links for parent in _parents(name)):
            raise UsageError(f"the archive leads through a link: {member.name!r}")
        if member.issym():
            self._links.add(name)
            member = member.replace(name=name, deep=False)
        elif member.islnk():
            target = self._rename(posixpath.normpath(member.linkname))
            if target not in self._files:
                raise UsageError(f"the archive has a link to nothing: {member.name!r}")
            member = member.replace(name=name, linkname=target, deep=False)
        elif member.isreg() or member.isdir():
            self._links.discard(name)
            member = member.replace(name=name, deep=False)
        else:
            raise UsageError(f"the archive has a device or pipe: {member.name!r}; leave it out")
        if member.isreg() or member.islnk():
            self._files.add(name)
        try:
            if member.issym():  # the filter would refuse most links of an instance's own tree
                self._check_place(member, destination)
                return member
            return tarfile.data_filter(member, destination)
        except tarfile.FilterError as error:
            raise UsageError(f"the archive is refused: {error}") from error

    def _rename(self, name: str) -> str:
        """With the operator's name in the place of the first member's."""
        self._first = self._first or name
        if name.startswith(("/", "../")) or name in (".", ".."):
            raise UsageError(f"the archive has a path out of it: {name!r}")
        if name != self._first and not name.startswith(f"{self._first}/"):
            raise UsageError(f"the archive has a path beside what was asked for: {name!r}")
        return self._top + name[len(self._first) :]

    def _check_place(self, link: tarfile.TarInfo, destination: str) -> None:
        """Where the link itself goes is checked as for a file."""
        file = tarfile.TarInfo(link.name)
        tarfile.data_filter(file, destination)


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def unpack(pieces: Iterable[bytes], target: Path) -> None:
    """Unpack what was asked for as `target`; in it, under its own name, where it is a directory.

    Raises UsageError for an archive that would reach beyond, HostError.
    """
    try:
        with tarfile.open(fileobj=cast("Any", _Reader(pieces)), mode="r|") as archive:
            first = archive.next()
            if first is None:
                raise UsageError("the archive is empty")
            inside = target.is_dir()
            parent = target if inside else target.parent
            arrival = _Arrival(posixpath.basename(posixpath.normpath(first.name)) if inside else target.name)
            member: tarfile.TarInfo | None = first
            while member:
                archive.extract(arrival.place(member, str(parent)), parent, filter="fully_trusted")
                member = archive.next()
    except tarfile.TarError as error:
        raise UsageError(f"what came is no complete archive: {error}") from error
    except OSError as error:
        raise HostError(f"cannot write {error.filename or target}: {error.strerror}") from error


def pack(source: Path, name: str) -> Iterator[bytes]:
    """An archive of a file or directory, which is called `name` in it, in pieces. Raises HostError."""
    reading, writing = os.pipe()
    failures: list[OSError] = []

    def write() -> None:
        try:
            with os.fdopen(writing, "wb") as file, tarfile.open(fileobj=file, mode="w|") as archive:
                archive.add(source, name)
        except OSError as error:
            failures.append(error)

    writer = Thread(target=write, daemon=True)
    writer.start()
    with os.fdopen(reading, "rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            yield piece
    writer.join()
    if failures:
        raise HostError(f"cannot read {failures[0].filename or source}: {failures[0].strerror}")
