"""The plugin."""

from kwhost.hookspecs import CliCommand, StorageOffer, hookimpl

from kwhost_storage_btrfs.command import main
from kwhost_storage_btrfs.subvolumes import LEAST, Subvolumes

__all__ = ["cli_commands", "storages"]


@hookimpl
def storages() -> list[StorageOffer]:
    """Subvolumes of the file system that the store of volumes is on."""
    summary = "a btrfs subvolume with a quota, which takes space as it is written"
    return [StorageOffer(name="btrfs", summary=summary, backing=Subvolumes(), least=LEAST)]


@hookimpl
def cli_commands() -> list[CliCommand]:
    """Snapshots."""
    return [CliCommand(name="btrfs", summary="snapshots of volumes on btrfs", main=main)]
