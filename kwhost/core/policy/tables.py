"""The compiled tables that instances start with."""

from collections.abc import Sequence

from kwhost.core.model.policy import DEFAULT_POLICY
from kwhost.core.policy.compile import Compiled, compile_layers
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import Layer

__all__ = ["INSTANCE_LAYER", "default_table", "table_for"]

# The name of the layer that is the instance's own policy.
INSTANCE_LAYER = "instance"


def table_for(layers: Sequence[Layer]) -> Compiled:
    """The table of a new run. Raises ConfigError for more than one holds."""
    return compile_layers(layers)


def default_table() -> Compiled:
    """The table of an instance that has the built-in policy `default` and no other."""
    return table_for([Layer(INSTANCE_LAYER, built_in().find(DEFAULT_POLICY))])
