"""The plugin's hooks."""

from collections.abc import Sequence
from threading import Lock

import trio
from kwhost.core.errors import KwhostError
from kwhost.core.model.ids import TenantName
from kwhost.core.model.tenant import Tenant
from kwhost.hookspecs import CliCommand, Metric, PluginHost, Uplink, hookimpl

from kwhost_net_wireguard import __version__
from kwhost_net_wireguard.configuration import Configuration
from kwhost_net_wireguard.keeper import Keeper, Subnet

__all__ = ["WireGuard", "plugin"]

_INTERVAL_SECONDS = 5.0


def _key_command(arguments: Sequence[str]) -> int:
    from kwhost_net_wireguard.command import main

    return main(arguments)


class WireGuard:
    """One keeper, which the first hook makes that is called."""

    __version__ = __version__

    def __init__(self, interval: float = _INTERVAL_SECONDS) -> None:
        self._interval = interval
        self._lock = Lock()
        self._keeper: Keeper | None = None

    @hookimpl
    def configuration_type(self) -> type[object]:
        """The section [plugins.wireguard]."""
        return Configuration

    @hookimpl
    def cli_commands(self) -> Sequence[CliCommand]:
        """`kwhost wireguard-key`."""
        summary = "print this host's public key for a tenant's tunnel"
        return (CliCommand(name="wireguard-key", summary=summary, main=_key_command),)

    @hookimpl
    def network_uplinks(
        self, tenant: Tenant, subnet: Subnet, host: PluginHost, configuration: Configuration
    ) -> Sequence[Uplink]:
        """The tenant's tunnel, once it is there. A plain function: netlink waits for the kernel."""
        return self._keeper_of(host).uplinks(configuration, tenant.name, subnet)

    @hookimpl
    def metrics(self, host: PluginHost, configuration: Configuration) -> Sequence[Metric]:
        """Of all tunnels."""
        return self._keeper_of(host).metrics(configuration)

    @hookimpl
    async def serve(
        self, host: PluginHost, configuration: Configuration, task_status: trio.TaskStatus[None]
    ) -> None:
        """Repair tunnels, and remove those that nobody wants any more."""
        task_status.started()
        said = ""
        while True:
            await trio.sleep(self._interval)
            text = await trio.to_thread.run_sync(self._tend, host, configuration)
            if text and text != said:  # once, not each time
                host.log(text)
            said = text

    def _tend(self, host: PluginHost, configuration: Configuration) -> str:
        """Look after all tunnels; what is wrong, in one line."""
        hosted = {status.name for status in host.tenants()}
        if not hosted:  # the daemon has not read yet who its tenants are: their tunnels live on meanwhile
            return ""
        wanted = [TenantName(name) for name in configuration.tenants if name in hosted]
        try:
            done = self._keeper_of(host).tend(configuration, wanted)
        except KwhostError as error:
            return str(error)
        for step in done:
            host.log(f"repaired: {step}")
        unknown = sorted(configuration.tenants.keys() - hosted)
        return f"there is no tenant {', '.join(unknown)} to have a tunnel" if unknown else ""

    def _keeper_of(self, host: PluginHost) -> Keeper:
        with self._lock:
            if self._keeper is None:
                self._keeper = Keeper(host.state_dir)
            return self._keeper


plugin = WireGuard()
