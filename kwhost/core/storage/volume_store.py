"""Where volumes are kept, in the state directory:

    TENANT/ids                the ids of the tenant's files where owners cannot be mapped (owner_ids)
    TENANT/NAME/volume.json   what it is
    TENANT/NAME/use.lock      held, shared, while something starts with it
    TENANT/NAME/...           its files, as its kind has them (VolumeBacking), and what first_files and
                              owner_ids have
    .new-..., .gone-...       what is being made or removed; gone with whoever does it

and mounted, for as long as something starts with them, in the run directory: TENANT/NAME. An instance has a
mount of its own afterwards, which goes with it, whoever is killed; what is left of ours a repair takes away.
Every method blocks.
"""

import errno
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kwhost.core.errors import Conflict, HostError, KwhostError, NotFound, UsageError
from kwhost.core.images.on_disk import locked, sync
from kwhost.core.images.removal import remove_tree
from kwhost.core.model.ids import InstanceId, TenantName
from kwhost.core.model.units import format_bytes
from kwhost.core.model.volume import AUTO_STORAGE, DEFAULT_VOLUME_SIZE, StoredVolume, volume_name
from kwhost.core.storage.first_files import fill_once, promise_filling
from kwhost.core.storage.kinds import BUILT_IN, StorageKind, usual_kind
from kwhost.core.storage.owner_ids import IdRanges, noted_ids, own_files, read_ids

if TYPE_CHECKING:
    from kwhost.core.model.volume_backing import VolumeBacking

__all__ = ["VolumeStore"]

_BUSY_SECONDS = 2.0
_POLL_SECONDS = 0.01


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Turn what the disk says into one line. Raises HostError."""
    try:
        yield
    except OSError as error:
        advice = "; free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise HostError(f"cannot {what}: {error.strerror or error}{advice}") from error


class VolumeStore:
    """The volumes of one state directory, for several processes at once. `kinds` are the storages that there
    are, `usual` is that of new volumes, or AUTO_STORAGE;
    `ranges` are for volumes whose owners cannot be mapped (None: there can be none)."""

    def __init__(
        self,
        state_dir: Path,
        run_dir: Path,
        kinds: Mapping[str, StorageKind] = BUILT_IN,
        usual: str = AUTO_STORAGE,
        ranges: IdRanges | None = None,
    ) -> None:
        self._path = state_dir / "volumes"
        self._places = run_dir / "volumes"
        self._kinds = kinds
        self._chosen = usual
        self._ranges = ranges

    def _prepare(self) -> None:
        with _telling(f"use the volumes in {self._path}"):
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @cached_property
    def _usual(self) -> str:
        """What keeps new volumes."""
        if self._chosen != AUTO_STORAGE:
            return self._chosen
        self._prepare()
        with _telling(f"find out what can keep volumes in {self._path}"):
            return usual_kind(self._path)

    def choose(self) -> None:
        """Find out now what keeps new volumes. Raises HostError."""
        self._kind(self._usual)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One at a time; it takes milliseconds."""
        self._prepare()
        with locked(self._path / ".lock", fcntl.LOCK_EX):
            yield

    # What there is.

    def list(self, tenant: TenantName) -> tuple[StoredVolume, ...]:
        """A tenant's volumes, by name. Raises HostError."""
        volumes = []
        for file in sorted((self._path / tenant).glob("*/volume.json")):
            with suppress(FileNotFoundError):  # somebody has just removed it
                volumes.append(self._read(file))
        return tuple(volumes)

    def all(self) -> tuple[tuple[StoredVolume, ...], tuple[str, ...]]:
        """All tenants' volumes, and a line for each that is damaged."""
        volumes, problems = [], []
        for file in sorted(self._path.glob("[!.]*/*/volume.json")):
            try:
                with suppress(FileNotFoundError):
                    volumes.append(self._read(file))
            except HostError as error:
                problems.append(str(error))
        return tuple(volumes), tuple(problems)

    def find(self, tenant: TenantName, name: str) -> StoredVolume:
        """Raises NotFound, UsageError."""
        try:
            return self._read(self._path / tenant / volume_name(name) / "volume.json")
        except FileNotFoundError:
            raise NotFound(f"there is no volume {name}; kwhost volume ls lists what there is") from None

    def _read(self, file: Path) -> StoredVolume:
        try:
            fields = json.loads(file.read_bytes())
            return StoredVolume(
                name=file.parent.name,
                tenant=file.parent.parent.name,
                kind=str(fields["kind"]),
                size=fields["size"],
                created=fields["created"],
                instance=fields["instance"],
                first_id=read_ids(file.parent),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise HostError(f"the volume {file.parent} is damaged: {error!r}") from error

    def _kind(self, name: str) -> StorageKind:
        """Raises HostError where nothing here keeps volumes of that kind."""
        if name not in self._kinds:
            known = ", ".join(sorted(self._kinds))
            raise HostError(
                f"there is no storage {name!r} for volumes here, only {known}; a plugin's needs a daemon"
            )
        return self._kinds[name]

    def _backing(self, volume: StoredVolume) -> "VolumeBacking":
        return self._kind(volume.kind).backing

    def inspect(self, tenant: TenantName, name: str) -> StoredVolume:
        """One volume, with what is used of it. Raises as `using`."""
        with self.using(tenant, name) as files:
            volume = self.find(tenant, name)
            return replace(volume, used=self._backing(volume).count_used(files))

    # Making and removing.

    def create(
        self, tenant: TenantName, name: str, size: int | None = None, instance: InstanceId | None = None
    ) -> StoredVolume:
        """An empty volume. Raises Conflict where there is one of the name, HostError, UsageError."""
        target = self._path / tenant / volume_name(name)
        size = self.usual_size(size)
        with self._changing():
            if target.exists():
                raise Conflict(f"there is a volume {name} already")
        made = self._path / f".new-{secrets.token_hex(8)}"
        about = {"kind": self._usual, "size": size, "created": time.time(), "instance": instance}
        with _telling(f"make the volume {name}"):
            made.mkdir(mode=0o700)
            try:
                # Held so that no repair takes it for a left one.
                with locked(made / "use.lock", fcntl.LOCK_SH):
                    (made / "volume.json").write_text(json.dumps(about))
                    promise_filling(made)
                    self._kind(self._usual).backing.make(made, size)
                    target.parent.mkdir(mode=0o700, exist_ok=True)
                    sync(*made.iterdir(), made)
                    made.rename(target)
                    sync(target.parent, self._path)
            except BaseException as error:
                with suppress(OSError, HostError):  # a repair tries again
                    self._discard(made)
                if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise Conflict(f"there is a volume {name} already") from error
                raise
        return self.find(tenant, name)

    @property
    def holds_sizes(self) -> bool:
        """Whether the volumes that are made here are bounded."""
        return self._kind(self._usual).least is not None

    def usual_size(self, size: int | None) -> int | None:
        """What a volume gets where `size`, or nothing, was asked for. Raises UsageError."""
        least = self._kind(self._usual).least
        if least is None:
            if size is not None:
                raise UsageError(
                    f"the storage {self._usual!r} holds no sizes of volumes, as root's ext4 does; leave "
                    "the size out"
                )
            return None
        size = DEFAULT_VOLUME_SIZE if size is None else size
        if size < least:
            raise UsageError(f"a volume has at least {format_bytes(least)}, not {format_bytes(size)}")
        return size

    def remove(self, tenant: TenantName, name: str) -> StoredVolume:
        """Remove a volume with all its files. Raises NotFound, Conflict where it is in use, HostError."""
        volume = self.find(tenant, name)
        gone = self._path / f".gone-{secrets.token_hex(8)}"
        end = time.monotonic() + _BUSY_SECONDS  # the kernel takes a moment after the end of an instance
        while not self._put_away(volume, gone):
            if time.monotonic() > end:
                raise Conflict(f"the volume {name} is in use")
            time.sleep(_POLL_SECONDS)
        with _telling(f"remove the volume {name}"):
            self._discard(gone)
        return volume

    def _put_away(self, volume: StoredVolume, gone: Path) -> bool:
        """Give a volume another place, where nobody finds it, unless somebody uses it."""
        place = self._path / volume.tenant / volume.name
        with (
            self._changing(),
            _telling(f"remove the volume {volume.name}"),
            suppress(BlockingIOError),
            locked(place / "use.lock", fcntl.LOCK_EX | fcntl.LOCK_NB),
        ):
            self._hide(volume)
            if not self._backing(volume).is_busy(place):
                place.rename(gone)
                return True
        return False

    def remove_all(self) -> tuple[str, ...]:
        """Remove all volumes; a line for each that cannot be: it may be damaged, or kept by a plugin that is
        not here. Raises HostError."""
        if not self._path.is_dir():
            return ()
        problems = list(self.repair())
        for file in sorted(self._path.glob("[!.]*/*/volume.json")):
            with _noting(problems):
                self.remove(TenantName(file.parent.parent.name), file.parent.name)
        return tuple(problems)

    def _discard(self, place: Path) -> None:
        """Remove what there is of a volume. Raises OSError, HostError."""
        with suppress(FileNotFoundError):  # then nothing was made
            self._backing(self._read(place / "volume.json")).remove(place)
        remove_tree(place)

    # Using.

    @contextmanager
    def using(
        self, tenant: TenantName, name: str, fill: Callable[[Path], None] | None = None
    ) -> Iterator[Path]:
        """The directory of a volume's files, while something starts with it. `fill` gives a new one what it
        begins with: nobody has had it by then, and others that start with it wait. Raises NotFound,
        HostError, and what `fill` does."""
        with ExitStack() as held:
            files = self._take(tenant, name, held)
            if fill is not None:
                self._own(tenant, name, files)
                with _telling(f"fill the volume {name}"):
                    fill_once(self._path / tenant / name, files, fill)
            yield files

    def _own(self, tenant: TenantName, name: str, files: Path) -> None:
        """See to it that who is 0 in an instance owns what is given away."""
        if os.geteuid() != 0 or self._kind(self.find(tenant, name).kind).maps_owners:
            return
        with self._changing(), _telling(f"give the volume {name} to its tenant"):
            own_files(self._path / tenant / name, files, self._ranges)

    def hold_ids(self) -> tuple[str, ...]:
        """Have the ids of all tenants whose volumes needed some; a line for each whose ids cannot be had."""
        problems: list[str] = []
        if self._ranges:
            with _noting(problems):
                for first in sorted(noted_ids(self._path)):
                    with _noting(problems):
                        self._ranges.hold(first)
        return tuple(problems)

    def _take(self, tenant: TenantName, name: str, held: ExitStack) -> Path:
        """A volume's files, shown until `held` is closed."""
        with self._changing(), _telling(f"use the volume {name}"):
            volume = self.find(tenant, name)
            place = self._path / tenant / name
            mount_point = self._places.resolve() / tenant / name
            mount_point.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._places.chmod(0o700)
            with ExitStack() as lock:
                lock.enter_context(locked(place / "use.lock", fcntl.LOCK_SH))
                files = self._backing(volume).show(place, mount_point)
                held.callback(self._release, volume)
                held.push(lock.pop_all())
            return files

    def _release(self, volume: StoredVolume) -> None:
        """Take our mount away, unless somebody else is about to use it."""
        place = self._path / volume.tenant / volume.name
        with (
            self._changing(),
            suppress(BlockingIOError, FileNotFoundError),
            locked(place / "use.lock", fcntl.LOCK_EX | fcntl.LOCK_NB),
        ):
            self._hide(volume)

    def _hide(self, volume: StoredVolume) -> None:
        mount_point = self._places.resolve() / volume.tenant / volume.name
        with _telling(f"unmount the volume {volume.name}"):
            self._backing(volume).hide(mount_point)
            with suppress(FileNotFoundError):
                mount_point.rmdir()

    def repair(self) -> tuple[str, ...]:
        """Take away what was left by whoever was killed: mounts, and volumes half made or half removed. A
        line for each that cannot be, now: it may be damaged, or kept by a plugin that is not here."""
        if not self._path.is_dir():
            return ()
        problems: list[str] = []
        for place in sorted(self._places.glob("*/*")):
            with _noting(problems):
                self._release(self.find(TenantName(place.parent.name), place.name))
        with self._changing():
            for left in (*self._path.glob(".new-*"), *self._path.glob(".gone-*")):
                with (
                    suppress(BlockingIOError),
                    _noting(problems),
                    _telling(f"remove what is left of a volume, {left}"),
                    locked(left / "use.lock", fcntl.LOCK_EX | fcntl.LOCK_NB),
                ):
                    self._discard(left)
        return tuple(problems)


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except NotFound:
        pass
    except KwhostError as error:
        problems.append(str(error))
