"""What runs for plugins as long as the daemon does: their `serve`, and the delivery of events."""

from collections.abc import Awaitable, Callable, Mapping

import trio

from kwhost.core.pluginmgr.calls import bind
from kwhost.core.pluginmgr.faults import PluginFault, blaming_plugin
from kwhost.core.pluginmgr.plugin import Plugin
from kwhost.hookspecs import DEADLINE_SECONDS

__all__ = ["RETRY_SECONDS", "STEADY_SECONDS", "Service"]

# The pause before `serve` is started again doubles from the first to the second.
RETRY_SECONDS = (1.0, 60.0)
# So long without a failure, and earlier ones no longer count.
STEADY_SECONDS = 60.0


class Service:
    """One plugin's `serve`, kept running until the plugin is disabled."""

    def __init__(
        self,
        plugin: Plugin,
        arguments: Callable[[], Mapping[str, object]],
        failed: Callable[[PluginFault], None],
    ) -> None:
        self._plugin = plugin
        self._arguments = arguments
        self._failed = failed
        self._round = trio.CancelScope()

    def restart(self) -> None:
        """Start it again, with the arguments of now."""
        self._round.cancel()

    async def run(self, started: trio.Event) -> None:
        """Run it; `started` is set once it has started for the first time, or failed to."""
        plugin, pause = self._plugin, RETRY_SECONDS[0]
        while plugin.active:
            self._round = trio.CancelScope()
            began = trio.current_time()
            with self._round:
                try:
                    await self._serve(started)
                except PluginFault as fault:
                    started.set()
                    if trio.current_time() - began >= STEADY_SECONDS:
                        plugin.count_success("serve")
                        pause = RETRY_SECONDS[0]
                    self._failed(fault)
                    if plugin.active:
                        await trio.sleep(pause)
                        pause = min(2 * pause, RETRY_SECONDS[1])
        started.set()

    async def _serve(self, started: trio.Event) -> None:
        """Returns only by cancellation. Raises PluginFault."""
        implementation = self._plugin.hooks["serve"]
        serve = bind(implementation, self._arguments())
        with blaming_plugin():
            async with trio.open_nursery() as nursery:
                if "task_status" in (*implementation.argnames, *implementation.kwargnames):
                    await _start(nursery, serve)
                else:
                    nursery.start_soon(serve)
                started.set()
                await trio.sleep_forever()


async def _start(nursery: trio.Nursery, serve: Callable[..., Awaitable[object]]) -> None:
    with trio.move_on_after(DEADLINE_SECONDS) as starting:
        await nursery.start(serve)
    if starting.cancelled_caught:
        raise PluginFault(f"did not start within {DEADLINE_SECONDS:g} s")
