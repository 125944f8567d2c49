"""One call of one hook of one plugin: its exceptions, its time and its answer are kept in bounds."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import trio
from pluggy import HookImpl

from kwhost.core.pluginmgr.answers import CHECKS
from kwhost.core.pluginmgr.faults import PluginFault, blaming_plugin, one_line
from kwhost.core.pluginmgr.plugin import Plugin
from kwhost.hookspecs import DEADLINE_SECONDS

__all__ = ["THREADS_MAX", "bind", "call_hook", "call_in_thread"]

# Calls of one plugin at the same time. A thread that hangs stays, so one plugin must not use up everybody's.
THREADS_MAX = 8


def bind(
    implementation: HookImpl, arguments: Mapping[str, object]
) -> Callable[..., Any]:  # whatever the plugin returns
    """The implementation with those of the hook's arguments that it names."""
    names = (*implementation.argnames, *implementation.kwargnames)
    return partial(implementation.function, **{name: arguments[name] for name in names if name in arguments})


async def call_in_thread(function: Callable[[], object], limiter: trio.CapacityLimiter) -> object:
    """Call in a thread that is left behind on cancellation. Raises PluginFault for whatever it raises."""

    def run() -> object:
        try:
            return function()
        except BaseException as error:
            # Also sys.exit() and KeyboardInterrupt, which would mean something else in the loop.
            raise PluginFault(one_line(error)) from error

    return await trio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=limiter)


async def _answer(
    plugin: Plugin, implementation: HookImpl, call: Callable[[], object], limiter: trio.CapacityLimiter
) -> object:
    if plugin.built_in or inspect.iscoroutinefunction(implementation.function):
        answer = call()
    else:
        answer = await call_in_thread(call, limiter)
    if inspect.iscoroutinefunction(answer):
        answer = answer()
    if inspect.isawaitable(answer):
        answer = await answer
    return answer


async def call_hook(
    plugin: Plugin,
    hook: str,
    arguments: Mapping[str, object],
    limiter: trio.CapacityLimiter,
    seconds: float | None = None,
) -> object:
    """Call the plugin's implementation and check its answer. Raises PluginFault, also after `seconds`, which
    are DEADLINE_SECONDS unless given."""
    seconds = DEADLINE_SECONDS if seconds is None else seconds
    implementation = plugin.hooks[hook]
    with blaming_plugin():
        with trio.move_on_after(seconds):
            answer = await _answer(plugin, implementation, bind(implementation, arguments), limiter)
            return CHECKS[hook](answer)
        raise PluginFault(f"no answer within {seconds:g} s")
