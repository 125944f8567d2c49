"""Where the policies of this host's instances come from: its configuration and its plugins."""

import time
from collections.abc import Sequence

from kwhost.core.engines.bare import jail_refused
from kwhost.core.errors import EXIT_INTERNAL, ConfigError, KwhostError, LaunchError
from kwhost.core.model.decisions import Decision, Question
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.instance import Engine
from kwhost.core.model.status import InstanceStatus
from kwhost.core.model.tenant import Tenant
from kwhost.core.pluginmgr.manager import Plugins
from kwhost.core.pluginmgr.policies import LayerAnswer
from kwhost.core.policy.enforcing import check_enforceable
from kwhost.core.policy.integers import check_integers
from kwhost.core.policy.layers import configured_layers, plugin_layer
from kwhost.core.policy.library import Library, read_policy_table
from kwhost.core.policy.model import Layer, Policy
from kwhost.core.supervise.questions import PluginAnswer

__all__ = ["DaemonPolicies"]

# So long before its deadline an answer has to be there, to reach the call in time.
_MARGIN_SECONDS = 0.25


class DaemonPolicies:
    """Implements supervise.policies.PolicySource. `library` is that of the present configuration."""

    def __init__(self, library: Library, plugins: Plugins) -> None:
        self.library = library
        self._plugins = plugins

    def configured(self, tenant: Tenant, definition: InstanceDefinition, *, confined: bool) -> list[Layer]:
        """See PolicySource."""
        return configured_layers(tenant, definition, self.library, confined=confined)

    async def of_plugins(
        self, tenant: Tenant, definition: InstanceDefinition, status: InstanceStatus
    ) -> list[Layer]:
        """See PolicySource."""
        if unfit := self._plugins.policies.unfit():
            raise LaunchError(unfit, EXIT_INTERNAL)
        layers = []
        for answer in await self._plugins.policies.layers(tenant, definition, status):
            try:
                layers += self._read(answer)
            except KwhostError as error:
                raise LaunchError(
                    f"the plugin {answer.plugin}, which has a say in policies, failed: {error}", EXIT_INTERNAL
                ) from error
        return layers

    async def of_plugins_again(
        self,
        tenant: Tenant,
        definition: InstanceDefinition,
        status: InstanceStatus,
        present: Sequence[Layer],
    ) -> list[Layer]:
        """See PolicySource."""
        kept = {layer.name: layer for layer in present}
        layers: list[Layer] = []
        for answer in await self._plugins.policies.layers(tenant, definition, status):
            name = plugin_layer(answer.plugin)
            before = kept.pop(name, None)
            try:
                layers += self._read(answer)
            except KwhostError as error:
                self._plugins.report(f"plugin {answer.plugin}: its layer stays as it was: {error}")
                layers += [before] if before else []
        # A plugin that is disabled cannot be asked: what it had taken away stays so.
        return [*layers, *kept.values()]

    def _read(self, answer: LayerAnswer) -> list[Layer]:
        if answer.fault:
            raise ConfigError(answer.fault)
        if answer.table is None:
            return []
        return [
            Layer(plugin_layer(answer.plugin), read_policy_table(answer.plugin, answer.table, self.library))
        ]

    def names(self) -> tuple[str, ...]:
        """See PolicySource."""
        return tuple(self.library.policies)

    def find(self, name: str) -> Policy:
        """See PolicySource."""
        return self.library.find(name)

    def check_engine(self, engine: str, layers: Sequence[Layer]) -> None:
        """See PolicySource."""
        offer = self._plugins.engines().get(engine)
        if offer:  # else there is no such engine, which the launch says
            check_enforceable(engine, offer.enforces, layers)
        if engine == Engine.PROCESS.value and (refused := jail_refused()):
            check_integers(layers, refused)

    def decided(self, decision: Decision) -> None:
        """See PolicySource."""
        self._plugins.policies.tell(decision)

    async def ask(self, question: Question) -> PluginAnswer | None:
        """See questions.Asked."""
        seconds = max(0.0, question.deadline - time.time() - _MARGIN_SECONDS)
        found = await self._plugins.policies.answer(question, seconds)
        return PluginAnswer(*found) if found else None
