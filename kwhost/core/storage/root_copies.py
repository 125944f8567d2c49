"""Roots that are copies of an image's layers, where no overlay is to be had, in the state directory:

    roots/NAME/files    of a hosted instance, by its id, or of a run without a daemon, which holds a lock
    roots/.gone-...     what is being removed; gone with whoever does it

They have no bound. Each is its run's, whose end removes it; what is left of killed ones a repair takes away.
Where the file system has no id-mapped mounts, root's instances have a disk instead.
Every method blocks.
"""

import errno
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from kwhost.core.abi.mounting import maps_owners
from kwhost.core.errors import HostError, KwhostError
from kwhost.core.images.on_disk import locked_directory
from kwhost.core.images.removal import remove_tree
from kwhost.core.images.room import room_for
from kwhost.core.images.root_work import copy_layers, empty_tree
from kwhost.core.images.tree_copy import Copied
from kwhost.core.images.unpackers import LeaseIds

__all__ = ["RootCopies", "clear_copy", "copied_kind", "copy_root", "describe_copy"]

_RUN = "run-"


def copy_root(
    layers: Sequence[str],
    target: Path,
    lease_ids: LeaseIds,
    look: Callable[[], object],
    full: str,
    most: int | None = None,
) -> Copied:
    """Copy layers into an empty directory, so many bytes at `most`. `full`: what is said where there is too
    little room. Raises
    HostError, ImageError, and what `look` raises."""
    try:
        return copy_layers(layers, target, lease_ids, look, most)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HostError(full) from error
        raise HostError(f"cannot copy the image for an instance's root: {error.strerror}") from error


def clear_copy(files: Path, lease_ids: LeaseIds) -> None:
    """Remove what a copy has that the user cannot remove, as it belongs to other ids of the user's. Raises
    HostError, ImageError, OSError."""
    if os.geteuid() != 0 and files.is_dir():
        empty_tree(files, lease_ids)


def copied_kind(copied: Copied) -> str:
    """How a copy was made, as `inspect` names it."""
    return "reflink" if copied.reflinked else "copy"


def describe_copy(copied: Copied, why: str) -> str:
    """What there is to say about a root that is one."""
    left_out = (
        f"; {copied.left_out} of its files cannot be copied, and are left out" if copied.left_out else ""
    )
    return f"its root is a {copied_kind(copied)}: {why}{left_out}"


class RootCopies:
    """Of one state directory."""

    def __init__(self, state_dir: Path, lease_ids: LeaseIds) -> None:
        self._path = state_dir / "roots"
        self._lease_ids = lease_ids

    def is_usable(self) -> bool:
        """Whether instances can have directories here as theirs: root's need id-mapped mounts. It is tried.
        Raises HostError."""
        if os.geteuid() != 0:
            return True
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return maps_owners(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise HostError(f"cannot use {self._path}: {error.strerror}") from error

    def make(self, name: str, layers: Sequence[str], look: Callable[[], object]) -> tuple[Path, Copied]:
        """A copy by a name that nobody else has; what an earlier run left by it goes. Raises as `copy_root`,
        with nothing left."""
        self.remove(name)
        return self._make(name, layers, look)

    def copy(self, layers: Sequence[str], files: Path, look: Callable[[], object], full: str) -> Copied:
        """One elsewhere, in an empty directory. Raises as `copy_root`."""
        return copy_root(layers, files, self._lease_ids, look, full)

    def _make(self, name: str, layers: Sequence[str], look: Callable[[], object]) -> tuple[Path, Copied]:
        files = self._path / name / "files"

        def look_at_both() -> None:
            look()
            room_for(self._path)

        full = f"there is too little room for the copy of an image in {self._path}; free some space"
        try:
            files.mkdir(mode=0o700, parents=True)
            room_for(self._path)
            copied = copy_root(layers, files, self._lease_ids, look_at_both, full)
            return files.resolve(), copied  # the jail follows no links on the way to it
        except BaseException as error:
            with suppress(KwhostError):  # a repair tries again
                self.remove(name)
            if isinstance(error, OSError):
                raise HostError(f"cannot make {files}: {error.strerror}") from error
            raise

    @contextmanager
    def held(self, layers: Sequence[str]) -> Iterator[tuple[Path, Copied]]:
        """One until the end of a run of this process. Raises as `make`."""
        with ExitStack() as held:
            try:
                name = self._begin(held)
            except OSError as error:
                raise HostError(f"cannot make a root in {self._path}: {error.strerror}") from error
            yield self._make(name, layers, lambda: None)

    def _begin(self, held: ExitStack) -> str:
        """A place with its lock. Somebody's repair may take one away before it is locked: then another."""
        while True:
            name = f"{_RUN}{secrets.token_hex(8)}"
            place = self._path / name
            place.mkdir(mode=0o700, parents=True)
            with suppress(FileNotFoundError, BlockingIOError), ExitStack() as lock:
                lock.enter_context(locked_directory(place))
                if place.exists():
                    held.callback(self.remove, name)
                    held.enter_context(lock.pop_all())
                    return name

    def is_there(self, name: str) -> bool:
        """Whether there is a copy of that name."""
        return (self._path / name).exists()

    def remove(self, name: str) -> None:
        """Remove one, if it is there and nobody has it. Raises HostError, ImageError."""
        gone = self._path / f".gone-{secrets.token_hex(8)}"
        try:
            with locked_directory(self._path / name):
                (self._path / name).rename(gone)
                clear_copy(gone / "files", self._lease_ids)
                remove_tree(gone)
        except (FileNotFoundError, BlockingIOError):
            pass
        except OSError as error:
            raise HostError(f"cannot remove an instance's root, {gone}: {error.strerror}") from error

    def repair(self, is_live: Callable[[str], bool] | None = None) -> None:
        """Take away what was left: copies of instances that do not live, or only of runs without a daemon.
        Raises HostError, ImageError."""
        for place in self._path.glob("*"):
            if place.name.startswith((_RUN, ".")) or (is_live and not is_live(place.name)):
                self.remove(place.name)
