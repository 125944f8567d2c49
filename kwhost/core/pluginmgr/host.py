"""What one plugin gets to see of the host (PluginHost), from the loop and from the threads of its plain
hooks."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import trio

from kwhost.core.model.ids import InstanceId
from kwhost.core.model.statistics import InstanceStatistics
from kwhost.core.model.status import InstanceStatus, TenantStatus, Usage
from kwhost.hookspecs import HostView, Metric

__all__ = ["HostOfPlugin"]

T = TypeVar("T")

_LINE_MAX = 500


class HostOfPlugin:
    """Implements PluginHost for the plugin `name`. Made in the loop."""

    def __init__(
        self,
        name: str,
        view: HostView,
        report: Callable[[str], None],
        collect: Callable[[], Awaitable[tuple[Metric, ...]]],
    ) -> None:
        self._name = name
        self._view = view
        self._report = report
        self._collect = collect
        self._token = trio.lowlevel.current_trio_token()

    def _in_loop(self, function: Callable[[], T]) -> T:
        """The host's records change in the loop, so that other threads ask there."""
        if trio.lowlevel.in_trio_run():
            return function()
        return trio.from_thread.run_sync(function, trio_token=self._token)

    @property
    def run_dir(self) -> Path:
        """Where sockets belong."""
        return self._view.run_dir

    @property
    def state_dir(self) -> Path:
        """For what outlives a reboot."""
        return self._view.state_dir

    def tenants(self) -> tuple[TenantStatus, ...]:
        """Every tenant."""
        return self._in_loop(self._view.tenants)

    def instances(self) -> tuple[InstanceStatus, ...]:
        """Every instance."""
        return self._in_loop(self._view.instances)

    def usage(self, id: InstanceId) -> Usage:  # noqa: A002 - as in the protocol
        """What an instance uses now. Raises NotFound."""
        return self._in_loop(lambda: self._view.usage(id))

    def call_statistics(self, id: InstanceId) -> InstanceStatistics | None:  # noqa: A002
        """What an instance's monitors counted. Raises NotFound."""
        return self._in_loop(lambda: self._view.call_statistics(id))

    def log(self, line: str) -> None:
        """Add a line to the daemon's journal."""
        text = "".join(char if char.isprintable() else " " for char in str(line)[:_LINE_MAX])
        self._in_loop(lambda: self._report(f"plugin {self._name}: {text}"))

    async def refresh_policy(self, id: InstanceId) -> None:  # noqa: A002
        """Ask all plugins for their layers again. Raises NotFound, Conflict."""
        await self._view.refresh_policy(id)

    async def metrics(self) -> tuple[Metric, ...]:
        """What all plugins contribute."""
        return await self._collect()
