"""The plugin's hooks."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio
from kwhost.core.model.events import Event
from kwhost.hookspecs import CliCommand, PluginHost, TuiInstanceColumn, TuiPanel, hookimpl

from kwhost_prometheus import __version__, command
from kwhost_prometheus.column import COLUMN
from kwhost_prometheus.configuration import Address, Configuration, read_token
from kwhost_prometheus.exporter import Exporter
from kwhost_prometheus.panel import PANEL
from kwhost_prometheus.requests import Guard
from kwhost_prometheus.server import MetricsServer, listen_tcp, listening_unix

__all__ = ["Prometheus", "plugin"]


class Prometheus:
    """One exporter, whose counters outlive a change of its configuration."""

    __version__ = __version__

    def __init__(self) -> None:
        self._exporter = Exporter()

    @hookimpl
    def configuration_type(self) -> type[object]:
        """The section [plugins.prometheus]."""
        return Configuration

    @hookimpl
    def cli_commands(self) -> Sequence[CliCommand]:
        """`kwhost metrics`."""
        return (
            CliCommand(name="metrics", summary="print the metrics of the running daemon", main=command.main),
        )

    @hookimpl
    def tui_panels(self) -> Sequence[TuiPanel]:
        """The tab Prometheus of `kwhost tui`."""
        return (PANEL,)

    @hookimpl
    def tui_columns(self) -> Sequence[TuiInstanceColumn]:
        """The column of call times in its overview."""
        return (COLUMN,)

    @hookimpl
    async def instance_event(self, event: Event, host: PluginHost) -> None:
        """Starts go to the histogram."""
        self._exporter.see(event, host)

    @hookimpl
    async def serve(
        self, host: PluginHost, configuration: Configuration, task_status: trio.TaskStatus[None]
    ) -> None:
        """Listen and answer."""
        render = partial(self._exporter.render, host)
        place = configuration.place(host.run_dir)
        if isinstance(place, Address):
            token = read_token(Path(configuration.token_file))
            listener = listen_tcp(place)
            place = place._replace(port=listener.socket.getsockname()[1])
            server = MetricsServer(Guard(token, place.port), render)
            host.log(f"metrics are on {place}")
            await trio.serve_listeners(server.handle, [listener], task_status=_Started(task_status))
        else:
            with listening_unix(place, configuration.group) as listener:
                host.log(f"metrics are on {place}")
                server = MetricsServer(Guard(), render)
                await trio.serve_listeners(server.handle, [listener], task_status=_Started(task_status))


class _Started:
    """trio reports the listeners, kwhost expects nothing."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status

    def started(self, _: object = None) -> None:
        """The listeners are at work."""
        self._task_status.started()


plugin = Prometheus()
