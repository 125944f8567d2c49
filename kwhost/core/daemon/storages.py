"""The storages for volumes that plugins offer, as the store of volumes wants them."""

from collections.abc import Callable, Mapping

from kwhost.core.config.host import HostConfig
from kwhost.core.pluginmgr.discovery import Selection
from kwhost.core.pluginmgr.loading import load_plugins
from kwhost.core.pluginmgr.storages import guarded_storages
from kwhost.core.storage.kinds import StorageKind
from kwhost.hookspecs import StorageOffer

__all__ = ["load_storages", "storage_kinds"]


def storage_kinds(offers: Mapping[str, StorageOffer]) -> dict[str, StorageKind]:
    """By their names."""
    return {name: StorageKind(offer.backing, offer.least) for name, offer in offers.items()}


def load_storages(host: HostConfig, report: Callable[[str], None]) -> dict[str, StorageKind]:
    """What this host has, without a daemon. `report` gets a line for each plugin that cannot be loaded."""
    selection = Selection(load=host.plugins, blocked=frozenset(host.block_plugins), required=frozenset())
    registry = load_plugins(selection, report)
    return storage_kinds(guarded_storages(registry, lambda _plugin, _fault: None))
