"""What is done to a host's state while no daemon runs: removing what is over, or everything.

Only files that kwhost made are removed, by name: a state directory may be one that holds other things too.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio

from kwhost.core.abi.messages import stop
from kwhost.core.cgroups.groups import Cgroups
from kwhost.core.config.host import HostConfig
from kwhost.core.daemon.lock import hold_state
from kwhost.core.daemon.storages import load_storages
from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.engines.instance_dirs import InstanceDirs
from kwhost.core.errors import HostError
from kwhost.core.images.removal import remove_tree
from kwhost.core.model.events import Event, EventKind
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.status import InstanceState
from kwhost.core.storage.disk import SPACE_LOCK
from kwhost.core.storage.private_images import PrivateImages
from kwhost.core.storage.root_copies import RootCopies
from kwhost.core.storage.upper_disks import UpperDisks
from kwhost.core.storage.volume_store import VolumeStore
from kwhost.core.store.records import InstanceRecord
from kwhost.core.store.schema import DATABASE
from kwhost.core.store.tables import Tables
from kwhost.core.supervise.control import Control
from kwhost.core.supervise.secrets import SecretStore

__all__ = ["Inventory", "prune", "reset"]

_OWN_FILES = (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", SPACE_LOCK)
_STORES = ("images", "overlays", "private", "roots", "uppers", "volumes")
_ID = re.compile("[0-9a-f]{12}")
_ENDED = frozenset({InstanceState.EXITED, InstanceState.FAILED})

_STOP_SECONDS = 10.0
# After SIGKILL `supervise` has little left to do.
_CLEAN_UP_SECONDS = 10.0


class Inventory(NamedTuple):
    """What there is of kwhost on this host: instances, those of them that run, and other files and
    directories."""

    instances: tuple[InstanceId, ...]
    running: tuple[InstanceId, ...]
    files: tuple[Path, ...]


def prune(host: HostConfig) -> tuple[InstanceRecord, ...]:
    """Forget instances that have ended and that no configuration has, with their logs; gives what they were.

    Raises Conflict where a daemon runs, StoreError.
    """
    path = host.state_dir / DATABASE
    if not path.exists():
        return ()
    with hold_state(host.state_dir), closing(Tables.open(path)) as tables:
        over = tuple(
            record for record in tables.instances() if record.state in _ENDED and not record.configured
        )
        for record in over:
            with tables.transaction():
                tables.remove_instance(record.id)
                tables.append_event(_removed(record))
            # In this order: the next daemon removes directories that no record has.
            _dirs(host, record.id).remove()
            SecretStore(host.run_dir).remove(record.id)
    return over


def _removed(record: InstanceRecord) -> Event:
    return Event(
        time=time.time(),
        kind=EventKind.REMOVED,
        text="pruned",
        tenant=record.tenant,
        instance=record.id,
        name=record.name,
    )


def reset(
    host: HostConfig, confirm: Callable[[Inventory], bool], patience: float, report: Callable[[str], None]
) -> bool:
    """Stop all instances and remove everything that kwhost made for them, if `confirm` agrees to it; whether
    it did. What still runs afterwards is an error, and then its files stay. `report` gets a line for each
    thing that could be removed in part only.

    Raises Conflict where a daemon runs for `patience` seconds, HostError.
    """
    with hold_state(host.state_dir, patience):
        found = _take_inventory(host)
        if not confirm(found):
            return False
        trio.run(_stop_all, host, found.running)
        _remove_networks(host)
        if left := [each for each in found.running if _is_running(host, each)]:
            raise HostError(f"instances {' '.join(left)} do not end; nothing was removed")
        ids = partial(lease_ids, host.uid_base)
        UpperDisks(host.state_dir, host.run_dir).repair()  # nothing is mounted any more afterwards
        _remove_volumes(host, report)
        RootCopies(host.state_dir, ids).repair(lambda _instance: False)
        private = PrivateImages(host.state_dir, ids)
        for tenant, digest in private.sizes():
            private.remove(tenant, digest)
        private.repair()
        for instance in found.instances:
            _dirs(host, instance).remove()
        SecretStore(host.run_dir).remove_others(())
        for file in found.files:
            _remove(file)
        (host.state_dir / "lock").unlink()
    for directory in (host.run_dir / "instances", host.state_dir / "instances", host.run_dir, host.state_dir):
        with suppress(OSError):  # not empty: something in it is not kwhost's
            directory.rmdir()
    return True


def _remove_volumes(host: HostConfig, report: Callable[[str], None]) -> None:
    if not (host.state_dir / "volumes").exists():
        return
    store = VolumeStore(host.state_dir, host.run_dir, load_storages(host, report))
    for problem in store.remove_all():
        report(f"of a volume only its directory is removed: {problem}")


def _remove(file: Path) -> None:
    try:
        remove_tree(file)
    except OSError as error:
        if not os.path.ismount(file):  # else the operator mounted something there, which is empty now
            raise HostError(f"cannot remove {file}: {error.strerror}") from error


def _dirs(host: HostConfig, instance: InstanceId) -> InstanceDirs:
    return InstanceDirs.of(host.run_dir, host.state_dir, instance)


def _is_running(host: HostConfig, instance: InstanceId) -> bool:
    if connection := _dirs(host, instance).connect():
        connection.close()
    return connection is not None


def _take_inventory(host: HostConfig) -> Inventory:
    parents = (host.run_dir / "instances", host.state_dir / "instances")
    instances = sorted({instance for parent in parents for instance in _instances_in(parent)})
    stores = [host.state_dir / name for name in _STORES] + [host.run_dir / name for name in _STORES]
    files = (*(host.state_dir / name for name in _OWN_FILES), host.api, *stores)
    return Inventory(
        instances=tuple(instances),
        running=tuple(each for each in instances if _is_running(host, each)),
        files=tuple(file for file in files if file.exists()),
    )


def _instances_in(directory: Path) -> Iterator[InstanceId]:
    if directory.is_dir():
        yield from (InstanceId(path.name) for path in directory.iterdir() if _ID.fullmatch(path.name))


def _remove_networks(host: HostConfig) -> None:
    """What a daemon that was killed left of the instances' networks, and what served them."""
    if os.geteuid() != 0:  # it had none
        return
    from kwhost.core.daemon.network_leftovers import remove_leftovers

    trio.run(remove_leftovers, host)


async def _stop_all(host: HostConfig, running: tuple[InstanceId, ...]) -> None:
    async with trio.open_nursery() as nursery:
        for instance in running:
            nursery.start_soon(_stop, host, instance)
    # Some may have been without a directory, or without a supervisor that listens.
    cgroups = Cgroups.open(host.state_dir)
    for group in cgroups.leftovers(frozenset()):
        await group.kill()
        await group.remove()
    cgroups.close()


async def _stop(host: HostConfig, instance: InstanceId) -> None:
    """Have `supervise` end its instance, and wait until it has."""
    connection = _dirs(host, instance).connect()
    if connection is None:
        return
    control = Control(connection)
    try:
        with trio.move_on_after(_STOP_SECONDS + _CLEAN_UP_SECONDS):
            await control.send(stop(int(_STOP_SECONDS * 1000)))
            while await control.receive():
                pass
    finally:
        control.close()
