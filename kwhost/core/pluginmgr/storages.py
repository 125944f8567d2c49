"""Plugins' storages for whoever keeps volumes: no call holds anybody up for long, and what comes back is what
it is to be."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from kwhost.core.errors import HostError, KwhostError
from kwhost.core.model.volume_backing import VolumeBacking
from kwhost.core.pluginmgr.faults import PluginFault, call_bounded
from kwhost.core.pluginmgr.plugin import Plugin
from kwhost.core.pluginmgr.registry import Registry
from kwhost.hookspecs import StorageOffer

__all__ = ["STORAGE_SECONDS", "GuardedBacking", "guarded_storages"]

# Making a file system may take a while; nobody else makes or shows volumes meanwhile.
STORAGE_SECONDS = 60.0

T = TypeVar("T")

Blame = Callable[[Plugin, PluginFault], None]


class GuardedBacking:
    """See VolumeBacking: `backing` is a plugin's. Whatever else than OSError and KwhostError it
    raises, and nonsense, is its fault, which `blame` is told of, and which is a HostError for the caller."""

    def __init__(self, plugin: Plugin, backing: VolumeBacking, blame: Blame) -> None:
        self._plugin = plugin
        self._backing = backing
        self._blame = blame

    def make(self, place: Path, size: int | None) -> None:
        """See VolumeBacking."""
        self._call(partial(self._backing.make, place, size), type(None))

    def show(self, place: Path, mount_point: Path) -> Path:
        """See VolumeBacking."""
        return self._call(partial(self._backing.show, place, mount_point), Path)

    def hide(self, mount_point: Path) -> None:
        """See VolumeBacking."""
        self._call(partial(self._backing.hide, mount_point), type(None))

    def count_used(self, files: Path) -> int:
        """See VolumeBacking."""
        return self._call(partial(self._backing.count_used, files), int)

    def is_busy(self, place: Path) -> bool:
        """See VolumeBacking."""
        return self._call(partial(self._backing.is_busy, place), bool)

    def remove(self, place: Path) -> None:
        """See VolumeBacking."""
        self._call(partial(self._backing.remove, place), type(None))

    def _call(self, function: Callable[[], T], kind: type[T]) -> T:
        if not self._plugin.active:
            raise HostError(f"the plugin {self._plugin.name} does not work: {self._plugin.message}")

        def attempt() -> object:
            try:
                return function()
            except (OSError, KwhostError) as error:
                return error

        try:
            answer = _checked(call_bounded(attempt, STORAGE_SECONDS), kind)
        except PluginFault as fault:
            self._blame(self._plugin, fault)
            raise HostError(f"the plugin {self._plugin.name} failed: {fault}") from fault
        self._plugin.count_success("storages")
        return answer


def _checked(answer: object, kind: type[T]) -> T:
    """What the method has to say, or answered. Raises PluginFault for nonsense."""
    if isinstance(answer, OSError | KwhostError):
        raise answer
    if not isinstance(answer, kind):
        raise PluginFault(f"the answer is {type(answer).__name__}, not {kind.__name__}")
    if isinstance(answer, Path) and not (answer.is_absolute() and answer.is_dir()):
        raise PluginFault(f"{str(answer)[:100]!r} is no directory")
    return answer


def guarded_storages(registry: Registry, blame: Blame) -> dict[str, StorageOffer]:
    """All that are offered, by name; those of plugins are for worker threads."""
    offers = cast("Mapping[str, StorageOffer]", registry.offers("storages"))
    guarded = dict(offers)
    for name, offer in offers.items():
        plugin = registry.owner("storages", name)
        if plugin and not plugin.built_in:
            guarded[name] = replace(offer, backing=GuardedBacking(plugin, offer.backing, blame))
    return guarded
