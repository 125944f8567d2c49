"""The plugins of a process and what they offer. Without an event loop: `kwhost plugin ls` uses it too."""

from collections.abc import Iterable, Mapping

from pluggy import PluginManager

from kwhost import hookspecs
from kwhost.core.pluginmgr.answers import CHECKS
from kwhost.core.pluginmgr.plugin import Plugin, PluginState

__all__ = ["DECISIONS", "DECLARATIONS", "OFFERS", "Registry"]

# Asked once, when a plugin is loaded; what is offered has a name, which belongs to one plugin alone.
OFFERS = ("engines", "image_sources", "storages", "networks", "cli_commands", "tui_panels", "tui_columns")
# Hooks without which nothing goes on, and what they decide on.
DECISIONS = {"admit_instance": "admission", "policy_layer": "policies"}
DECLARATIONS = ("configuration_type", *OFFERS)


class Registry:
    """All plugins, by name: also those that are blocked or failed."""

    def __init__(self, required: Iterable[str] = ()) -> None:
        self.required = frozenset(required)
        self.plugins: dict[str, Plugin] = {}
        self.pluggy = PluginManager("kwhost")
        self.pluggy.add_hookspecs(hookspecs)
        assert all(hasattr(self.pluggy.hook, hook) for hook in CHECKS)

    def implementers(self, hook: str) -> list[Plugin]:
        """The plugins to call, in pluggy's order."""
        implementations = reversed(getattr(self.pluggy.hook, hook).get_hookimpls())
        plugins = [self.plugins[implementation.plugin_name] for implementation in implementations]
        return [plugin for plugin in plugins if plugin.active]

    def offers(self, hook: str) -> Mapping[str, object]:
        """What all plugins offer through a declaration, by name."""
        return {
            name: offer for plugin in self._active() for name, offer in plugin.offers.get(hook, {}).items()
        }

    def owner(self, hook: str, name: str) -> Plugin | None:
        """Which plugin offers that."""
        return next((plugin for plugin in self._active() if name in plugin.offers.get(hook, {})), None)

    def unfit(self, hook: str) -> str | None:
        """Why nothing can come to pass, whatever it is: a plugin that decides on it by the hook cannot be
        asked."""
        for name in sorted(self.required):
            plugin = self.plugins.get(name)
            if plugin is None or not plugin.active:
                why = plugin.message if plugin else "there is no such plugin"
                return f"the plugin {name}, which the configuration requires, does not work: {why}"
        for plugin in self.plugins.values():
            if plugin.state is PluginState.FAILED and hook in plugin.marked:
                return (
                    f"the plugin {plugin.name}, which decides on {DECISIONS[hook]}, does not work: "
                    f"{plugin.message}; repair it or block it (block_plugins), and start the daemon again"
                )
        return None

    def _active(self) -> list[Plugin]:
        return [plugin for plugin in self.plugins.values() if plugin.active]
