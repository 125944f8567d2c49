"""Composition root of roots without a daemon: an overlay over the image's layers, or a copy of them.

May import: everything below the command line.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from kwhost.core.config.host import HostConfig
from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.errors import HostError
from kwhost.core.images.image import Image
from kwhost.core.model.mounts import Mount, MountKind
from kwhost.core.model.roots import RootStorage
from kwhost.core.storage.overlays import Overlays, layers_of

__all__ = ["choose_root"]


def choose_root(host: HostConfig, image: Image, held: ExitStack, report: Callable[[str], None]) -> Image:
    """The image with the root that can be had here; a copy stays until `held` is closed, and is told. Raises
    KwhostError."""
    root, *others = image.mounts
    layers = layers_of(root)
    if not (refused := _refusal(host, layers)):
        return image
    from kwhost.core.storage.root_copies import RootCopies, describe_copy  # few hosts need one

    copies = RootCopies(host.state_dir, partial(lease_ids, host.uid_base))
    copies.repair()
    if not copies.is_usable():
        raise HostError(
            f"the root has to be a copy ({refused}), and the file system of {host.state_dir} has no "
            "id-mapped mounts; keep host.state_dir on ext4, xfs or btrfs"
        )
    files, copied = held.enter_context(copies.held(layers))
    report(describe_copy(copied, refused))
    return image._replace(mounts=(Mount(MountKind.BIND, "/", str(files), root.flags), *others))


def _refusal(host: HostConfig, layers: list[str]) -> str:
    overlays = Overlays(host.run_dir)
    if host.root_storage is RootStorage.OVERLAY:
        return ""
    if host.root_storage is RootStorage.COPY:
        refused = "root_storage is copy"
    elif not overlays.is_known(layers) and (error := overlays.refusal(layers)):
        refused = f"no overlay can be had: {error}"
    else:
        return ""
    from kwhost.core.engines.bare import jail_refused

    return "" if jail_refused() else refused  # without a jail there is no root at all
