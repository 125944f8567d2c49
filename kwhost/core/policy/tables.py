"""The compiled tables that instances start with."""

from collections.abc import Sequence
from pathlib import Path

from kwhost.core.config.host import read_file
from kwhost.core.errors import NotFound
from kwhost.core.model.policy import DEFAULT_POLICY
from kwhost.core.policy.compile import Compiled, compile_layers
from kwhost.core.policy.library import built_in, read_policy_file
from kwhost.core.policy.model import Layer, Policy

__all__ = ["INSTANCE_LAYER", "Compiled", "find_policy", "is_file", "table_for", "table_of"]

# The name of the layer that is the instance's own policy.
INSTANCE_LAYER = "instance"


def is_file(policy: str) -> bool:
    """Whether it means a policy file, and no name."""
    return "/" in policy or policy.endswith(".toml")


def find_policy(policy: str) -> Policy:
    """A built-in policy, or that of a file. Raises NotFound, ConfigErrors with all that is wrong in it."""
    if not is_file(policy):
        return built_in().find(policy)
    data = read_file(Path(policy))
    if data is None:
        raise NotFound(f"there is no file {policy}")
    return read_policy_file(Path(policy), data)


def table_for(layers: Sequence[Layer]) -> Compiled:
    """The table of a new run. Raises ConfigError for more than one holds."""
    return compile_layers(layers)


def table_of(policy: str = DEFAULT_POLICY) -> Compiled:
    """The table of a run that has one policy: a built-in one, or a file's. Raises as find_policy."""
    return table_for([Layer(INSTANCE_LAYER, find_policy(policy))])
