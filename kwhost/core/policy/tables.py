"""The compiled tables that instances start with.

What compiles is loaded only where it is needed: `kwhost run` mostly has the policy `default`, whose table was
made when kwhost was built.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.policy.prebuilt import PREBUILT_LAYER, PREBUILT_POLICY, prebuilt_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kwhost.core.policy.compile import Compiled
    from kwhost.core.policy.model import Layer, Policy
    from kwhost.core.policy.numbering import Numbering

__all__ = ["INSTANCE_LAYER", "RunTable", "find_policy", "table_for", "table_of"]

# The name of the layer that is the instance's own policy.
INSTANCE_LAYER = PREBUILT_LAYER


class RunTable(NamedTuple):
    """The bytes of a struct kw_policy, perhaps without the zeros at its end, and what names its rules."""

    data: bytes
    numbering: "Callable[[], Numbering]"


def find_policy(policy: str) -> "Policy":
    """A built-in policy, or that of a file, which has a slash or .toml in its name. Raises NotFound, and
    ConfigErrors with all that is wrong in it."""
    from kwhost.core.config.host import read_file
    from kwhost.core.errors import NotFound
    from kwhost.core.policy.library import built_in, read_policy_file

    if "/" not in policy and not policy.endswith(".toml"):
        return built_in().find(policy)
    data = read_file(Path(policy))
    if data is None:
        raise NotFound(f"there is no file {policy}")
    return read_policy_file(Path(policy), data)


def table_for(layers: "Sequence[Layer]") -> "Compiled":
    """The table of a new run. Raises ConfigError for more than one holds."""
    from kwhost.core.policy.compile import compile_layers

    return compile_layers(layers)


def table_of(policy: str) -> RunTable:
    """The table of a run that has one policy: a built-in one, or a file's. Raises as find_policy."""
    if policy == PREBUILT_POLICY:
        return RunTable(prebuilt_table(), lambda: _compile(policy).numbering)
    compiled = _compile(policy)
    return RunTable(compiled.data, lambda: compiled.numbering)


def _compile(policy: str) -> "Compiled":
    from kwhost.core.policy.model import Layer

    return table_for([Layer(INSTANCE_LAYER, find_policy(policy))])
