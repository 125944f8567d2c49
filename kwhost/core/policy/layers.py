"""Which policies hold for an instance: its tenant's, its own, and those of plugins."""

from collections.abc import Sequence
from pathlib import Path

from kwhost.core.errors import UsageError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.policy import DEFAULT_POLICY
from kwhost.core.model.tenant import Tenant
from kwhost.core.policy.library import Library, read_policy_file
from kwhost.core.policy.model import Layer, Policy
from kwhost.core.policy.tables import INSTANCE_LAYER

__all__ = ["configured_layers", "instance_policy", "plugin_layer", "plugin_layers"]

_PLUGIN = "plugin "
_TEXT_MAX = 256 * 1024


def plugin_layer(plugin: str) -> str:
    """The name of a plugin's layer."""
    return f"{_PLUGIN}{plugin}"


def plugin_layers(layers: Sequence[Layer]) -> list[Layer]:
    """Those of the layers that plugins made."""
    return [layer for layer in layers if layer.name.startswith(_PLUGIN)]


def instance_policy(definition: InstanceDefinition, library: Library) -> Policy:
    """The instance's own policy. Raises NotFound where there is none of its name, ConfigErrors and UsageError
    where its text is wrong."""
    if definition.policy_text is None:
        return library.find(definition.policy)
    data = definition.policy_text.encode("utf-8", "replace")
    if len(data) > _TEXT_MAX:
        raise UsageError(f"policy_text has {len(data)} bytes; {_TEXT_MAX} are allowed")
    return read_policy_file(Path(f"{definition.policy}.toml"), data, library)


def configured_layers(
    tenant: Tenant, definition: InstanceDefinition, library: Library, *, confined: bool
) -> list[Layer]:
    """The layers that operators and users chose, in order. Raises as instance_policy.

    `confined`: one of the tenant's users made the instance. Users choose a policy for what is theirs, and
    only an operator gives more than `default`, by the tenant's policy.
    """
    own = Layer(INSTANCE_LAYER, instance_policy(definition, library))
    above = tenant.policy
    chosen = definition.policy != DEFAULT_POLICY or definition.policy_text is not None
    if above is None and confined and chosen:
        above = DEFAULT_POLICY
    if above is None:
        return [own]
    return [Layer(f"tenant {tenant.name}", library.find(above)), own]
