"""Composition root of `kwhost image` without a daemon: the images of this user's state directory.

May import: everything below the command line.
"""

from functools import partial

from kwhost.core.config.host import HostConfig
from kwhost.core.engines.id_ranges import lease_ids
from kwhost.core.images.service import Images

__all__ = ["open_images"]


def open_images(host: HostConfig) -> Images:
    """The images that `kwhost run` finds without a daemon."""
    return Images(host.state_dir, partial(lease_ids, host.uid_base))
