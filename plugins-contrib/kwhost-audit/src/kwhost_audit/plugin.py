"""The plugin's hooks."""

import threading
from collections.abc import Sequence

import trio
from kwhost.core.model.decisions import Decision
from kwhost.hookspecs import CliCommand, PluginHost, hookimpl

from kwhost_audit import __version__, command
from kwhost_audit.configuration import Configuration
from kwhost_audit.schema import decision_fields
from kwhost_audit.trail import Trail

__all__ = ["Audit", "plugin"]


class Audit:
    """One log, which is closed and opened when its configuration changes."""

    __version__ = __version__

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._configuration: Configuration | None = None
        self._trail: Trail | None = None

    @hookimpl
    def configuration_type(self) -> type[object]:
        """The section [plugins.audit]."""
        return Configuration

    @hookimpl
    def cli_commands(self) -> Sequence[CliCommand]:
        """`kwhost audit-verify`."""
        return (
            CliCommand(
                name="audit-verify", summary="check that nobody changed an audit log", main=command.main
            ),
        )

    @hookimpl
    def policy_decision(self, decision: Decision, host: PluginHost, configuration: Configuration) -> None:
        """A line of the log. A plain function: disks may take their time."""
        self._trail_for(configuration, host).add(decision_fields(decision))

    @hookimpl
    async def serve(
        self, host: PluginHost, configuration: Configuration, task_status: trio.TaskStatus[None]
    ) -> None:
        """Bring lines to the disk at intervals."""
        trail = await trio.to_thread.run_sync(self._trail_for, configuration, host)
        try:
            await trio.to_thread.run_sync(trail.tend)
            task_status.started()
            while True:
                await trio.sleep(configuration.flush_seconds)
                await trio.to_thread.run_sync(trail.tend)
        finally:
            trail.close()

    def _trail_for(self, configuration: Configuration, host: PluginHost) -> Trail:
        with self._lock:
            if self._trail is None or configuration != self._configuration:
                if self._trail:
                    self._trail.close()
                self._trail, self._configuration = Trail(configuration, host.log), configuration
            return self._trail


plugin = Audit()
