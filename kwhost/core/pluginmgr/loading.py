"""Loading plugins: whatever goes wrong with one disables that one, with a line that says why."""

import inspect
from collections.abc import Callable

from kwhost.core.pluginmgr.answers import CHECKS
from kwhost.core.pluginmgr.discovery import Candidate, Selection, find_candidates
from kwhost.core.pluginmgr.faults import PluginFault, call_bounded, one_line
from kwhost.core.pluginmgr.plugin import Plugin, PluginState
from kwhost.core.pluginmgr.registry import DECLARATIONS, OFFERS, Registry
from kwhost.hookspecs import DEADLINE_SECONDS

__all__ = ["IMPORT_SECONDS", "add_plugin", "load_plugins"]

# An import may bring large libraries along.
IMPORT_SECONDS = 30.0


def load_plugins(selection: Selection, report: Callable[[str], None], *, installed: bool = True) -> Registry:
    """Load the built-in plugins, those that are installed, and those that the configuration names.

    `report` gets a line for each plugin that could not be loaded.
    """
    registry = Registry(selection.required)
    for candidate in find_candidates(selection.load, installed=installed):
        if candidate.name in selection.blocked:
            registry.plugins[candidate.name] = _plugin(
                candidate, PluginState.BLOCKED, "blocked by the configuration"
            )
            continue
        plugin = add_plugin(registry, candidate)
        if plugin.state is PluginState.FAILED:
            report(f"plugin {plugin.name}: {plugin.message}")
    for name in sorted((selection.blocked | selection.required) - registry.plugins.keys()):
        missing = Plugin(name=name, source="nowhere")
        missing.fail("the configuration names it, and there is no such plugin")
        registry.plugins[name] = missing
        report(f"plugin {name}: {missing.message}")
    return registry


def add_plugin(registry: Registry, candidate: Candidate) -> Plugin:
    """Load one plugin. Raises nothing whatever the plugin does; its state tells."""
    plugin = _plugin(candidate)
    if taken := registry.plugins.get(plugin.name):
        plugin.name = f"{plugin.name} ({plugin.source})"
        plugin.fail(f"there is another plugin of this name, {taken.source}")
        registry.plugins[plugin.name] = plugin
        return plugin
    registry.plugins[plugin.name] = plugin
    try:
        implementation = _import(candidate)
        _register(registry, plugin, implementation)
        _ask(registry, plugin)
    except Exception as error:  # noqa: BLE001 - the plugin's own code, and pluggy's opinion of it
        if registry.pluggy.has_plugin(plugin.name):
            registry.pluggy.unregister(name=plugin.name)
        plugin.fail(one_line(error))
    return plugin


def _plugin(candidate: Candidate, state: PluginState = PluginState.ACTIVE, message: str = "") -> Plugin:
    return Plugin(
        name=candidate.name,
        source=candidate.source,
        version=candidate.version,
        built_in=candidate.built_in,
        state=state,
        message=message,
    )


def _import(candidate: Candidate) -> object:
    if candidate.built_in:
        return candidate.load()
    try:
        return call_bounded(candidate.load, IMPORT_SECONDS)
    except PluginFault as fault:
        raise PluginFault(f"cannot be loaded from the {candidate.source}: {fault}") from fault


def _register(registry: Registry, plugin: Plugin, implementation: object) -> None:
    manager = registry.pluggy
    version = getattr(implementation, "__version__", "")
    if not plugin.version and isinstance(version, str) and version.isprintable():
        plugin.version = version[:32]
    options = {name: manager.parse_hookimpl_opts(implementation, name) for name in dir(implementation)}
    plugin.marked = frozenset(found["specname"] or name for name, found in options.items() if found)
    if not plugin.marked:
        raise PluginFault("implements no hook: are its functions marked with kwhost.hookspecs.hookimpl?")
    manager.register(implementation, plugin.name)
    for caller in manager.get_hookcallers(implementation) or []:
        found = [entry for entry in caller.get_hookimpls() if entry.plugin_name == plugin.name]
        if not caller.has_spec() and all(entry.optionalhook for entry in found):
            continue
        _check(caller.name, found[0].function, known=caller.has_spec())
        if len(found) > 1 or found[0].wrapper or found[0].hookwrapper:
            raise PluginFault(
                f"{caller.name}: plugins are called one by one, once; there are no hook wrappers"
            )
        plugin.hooks[caller.name] = found[0]


def _check(hook: str, function: Callable[..., object], *, known: bool) -> None:
    if not known:
        raise PluginFault(f"implements {hook!r}, and there is no such hook")
    asynchronous = inspect.iscoroutinefunction(function)
    if hook in DECLARATIONS and asynchronous:
        raise PluginFault(f"{hook} must be a plain function, not async def")
    if hook == "serve" and not asynchronous:
        raise PluginFault("serve must be async def")


def _ask(registry: Registry, plugin: Plugin) -> None:
    """Ask for the plugin's declarations."""
    for hook in DECLARATIONS:
        if hook not in plugin.hooks:
            continue
        function: Callable[[], object] = plugin.hooks[hook].function
        try:
            answer = function() if plugin.built_in else call_bounded(function, DEADLINE_SECONDS)
            checked = CHECKS[hook](answer)
        except PluginFault as fault:
            raise PluginFault(f"{hook}: {fault}") from fault
        if hook in OFFERS:
            assert isinstance(checked, tuple)
            _check_free(registry, hook, offered := {offer.name: offer for offer in checked})
            plugin.offers[hook] = offered
        else:
            assert isinstance(checked, type)
            plugin.configuration_type = checked


def _check_free(registry: Registry, hook: str, offered: dict[str, object]) -> None:
    for name in offered:
        if owner := registry.owner(hook, name):
            raise PluginFault(
                f"{hook}: the plugin {owner.name} offers {name!r} already, and one has to be blocked"
            )
