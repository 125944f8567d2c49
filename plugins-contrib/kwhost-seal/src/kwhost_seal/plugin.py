"""The plugin's hooks."""

from collections.abc import Mapping

import trio
from kwhost.core.errors import HostError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.events import Event
from kwhost.core.model.status import InstanceStatus
from kwhost.core.model.tenant import Tenant
from kwhost.hookspecs import PluginHost, hookimpl

from kwhost_seal import __version__
from kwhost_seal.configuration import Configuration
from kwhost_seal.sealer import Sealer
from kwhost_seal.seals import Seals, run_of
from kwhost_seal.table import seal_table

__all__ = ["Seal", "plugin"]


class Seal:
    """What is sealed, once `serve` has read it."""

    __version__ = __version__

    def __init__(self) -> None:
        self._seals: Seals | None = None
        self._sealer: Sealer | None = None

    @hookimpl
    def configuration_type(self) -> type[object]:
        """The section [plugins.seal]."""
        return Configuration

    @hookimpl
    async def policy_layer(
        self,
        tenant: Tenant,
        definition: InstanceDefinition,
        status: InstanceStatus,
        configuration: Configuration,
    ) -> Mapping[str, object] | None:
        """None before the seal, what it leaves afterwards."""
        rule = configuration.rule_for(tenant.name, definition.name)
        run = run_of(status)
        if rule is None or run is None:
            return None
        if self._seals is None:
            # The host leaves the layer as it is, which is right: it may be a sealed one.
            raise HostError(f"it is not known yet whether {tenant.name}/{definition.name} is sealed")
        return seal_table(rule) if run in self._seals else None

    @hookimpl
    async def instance_event(self, event: Event) -> None:
        """Being healthy is what instances are sealed for."""
        if self._sealer:
            self._sealer.see(event)

    @hookimpl
    async def serve(
        self, host: PluginHost, configuration: Configuration, task_status: trio.TaskStatus[None]
    ) -> None:
        """Read what is sealed already, and watch."""
        if self._seals is None:
            seals = Seals(host.run_dir / "seal.json")
            seals.load()
            self._seals = seals
        self._sealer = Sealer(host, configuration, self._seals)
        task_status.started()
        await self._sealer.run()


plugin = Seal()
