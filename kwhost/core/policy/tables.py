"""The compiled tables that instances start with.

What compiles is loaded only where it is needed: `kwhost run` mostly has the policy `default`, whose table was
made when kwhost was built.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kwhost.core.policy.prebuilt import PREBUILT_LAYER, PREBUILT_POLICY, prebuilt_ceiling, prebuilt_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from kwhost.core.policy.model import Layer, Policy
    from kwhost.core.policy.numbering import Numbering

__all__ = ["INSTANCE_LAYER", "RunTable", "find_policy", "table_for", "table_of"]

# The name of the layer that is the instance's own policy.
INSTANCE_LAYER = PREBUILT_LAYER


class RunTable(NamedTuple):
    """The bytes of a struct kw_policy, perhaps without the zeros at its end, and of a struct kw_ceiling; and
    what names the policy's rules."""

    data: bytes
    ceiling: bytes
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


# Of those that instances are started with there are few; a table has 600 KB.
@lru_cache(maxsize=8)
def table_for(layers: "tuple[Layer, ...]") -> RunTable:
    """The table of a new run. Raises ConfigError for more than one holds."""
    from kwhost.core.policy.ceiling_table import compile_ceiling
    from kwhost.core.policy.compile import compile_layers

    compiled = compile_layers(layers)
    return RunTable(compiled.data, compile_ceiling(layers), lambda: compiled.numbering)


def table_of(policy: str) -> RunTable:
    """The table of a run that has one policy: a built-in one, or a file's. Raises as find_policy."""
    if policy == PREBUILT_POLICY:
        return RunTable(prebuilt_table(), prebuilt_ceiling(), lambda: _compile(policy).numbering())
    return _compile(policy)


def _compile(policy: str) -> RunTable:
    from kwhost.core.policy.model import Layer

    return table_for((Layer(INSTANCE_LAYER, find_policy(policy)),))
