"""Plugins in memory, and a manager of some."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.pluginmgr.discovery import Candidate
from kwhost.core.pluginmgr.loading import add_plugin
from kwhost.core.pluginmgr.manager import Plugins
from kwhost.core.pluginmgr.plugin import Plugin
from kwhost.core.pluginmgr.registry import Registry
from kwhost.hookspecs import ImageRequest, hookimpl

__all__ = ["Bench", "image_request", "make_plugin"]


def make_plugin(**hooks: Callable[..., object]) -> SimpleNamespace:
    """A plugin with these implementations."""
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def image_request(
    image: str, *, read_only: bool = False, state_dir: Path = Path("/no-state")
) -> ImageRequest:
    """For acme/web."""
    return ImageRequest(
        reference=image,
        instance=InstanceName("web"),
        tenant=TenantName("acme"),
        read_only=read_only,
        state_dir=state_dir,
    )


class Bench:
    """Plugins of their own registry; `faults` and `lines` are what they did wrong and logged."""

    def __init__(self, *, required: tuple[str, ...] = (), **plugins: object) -> None:
        self.faults: list[str] = []
        self.lines: list[str] = []
        self.registry = Registry(required)
        for name, plugin in plugins.items():
            self.add(name, plugin)
        self.manager = Plugins(self.registry, self.faults.append, self.lines.append)

    def add(self, name: str, plugin: object) -> Plugin:
        return add_plugin(self.registry, Candidate(name, "test", "", lambda: plugin))

    def state(self, name: str) -> tuple[str, str]:
        plugin = self.registry.plugins[name]
        return plugin.state.value, plugin.message
