"""Composition root of volumes without a daemon: those of this user's state directory, tenant `default`.

May import: everything below the command line.
"""

from contextlib import ExitStack
from functools import partial

from kwhost.core.config.host import HostConfig
from kwhost.core.errors import NotFound
from kwhost.core.images.filling import fill_volume
from kwhost.core.images.image import Image
from kwhost.core.model.ids import DEFAULT_TENANT
from kwhost.core.model.instance import InstanceSpec
from kwhost.core.storage.volume_store import VolumeStore

__all__ = ["open_volumes", "show_volumes"]


def open_volumes(host: HostConfig) -> VolumeStore:
    """The volumes that `kwhost run` finds without a daemon."""
    return VolumeStore(host.state_dir, host.run_dir, usual=host.volume_storage)


def show_volumes(spec: InstanceSpec, host: HostConfig, image: Image, held: ExitStack) -> dict[str, str]:
    """Where the files of an instance's named volumes are until `held` is closed; what is not there is made.
    Raises KwhostError."""
    store = open_volumes(host)
    store.repair()
    files: dict[str, str] = {}
    for volume in spec.volumes:
        if not volume.is_named or volume.source in files:
            continue
        try:
            store.find(DEFAULT_TENANT, volume.source)
        except NotFound:
            store.create(DEFAULT_TENANT, volume.source)
        fill = partial(fill_volume, image=image, target=volume.target)
        files[volume.source] = str(held.enter_context(store.using(DEFAULT_TENANT, volume.source, fill)))
    return files
