"""The storages for volumes that need nothing but this host: directories with quotas, an ext4 in a file, and
plain directories."""

from kwhost.core.storage.kinds import BUILT_IN
from kwhost.hookspecs import StorageOffer, hookimpl

_SUMMARIES = {
    "ext4": "an ext4 in a file of its own, whose space is taken when it is made",
    "quota": "a directory with a project quota, on a file system that holds it to that",
    "directory": "a directory, without a bound",
}


@hookimpl
def storages() -> tuple[StorageOffer, ...]:
    """Root's, and an ordinary user's."""
    return tuple(
        StorageOffer(name=name, summary=_SUMMARIES[name], backing=kind.backing, least=kind.least)
        for name, kind in BUILT_IN.items()
    )
