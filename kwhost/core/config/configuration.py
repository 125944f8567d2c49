"""A complete and checked configuration."""

from dataclasses import dataclass, field
from pathlib import Path

from kwhost.core.config.host import HostConfig
from kwhost.core.config.problems import Place
from kwhost.core.config.tables import Settings
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.tenant import Tenant

__all__ = ["Configuration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a file says, with defaults where it says nothing; tenants and instances in the file's order.

    `definitions` has each replica by itself. `network_places` is where each network is named first.
    `policy_settings` is what `[policies]` says, by name, and `policy_place` its place: core.policy reads the
    rules in it. `plugin_sections` are the tables `[plugins.NAME]` as they are: who checks them reports at
    `plugin_place.below(NAME, KEY)`, and raises by `plugin_place.problems.raise_any()`.
    """

    source: Path
    host: HostConfig
    tenants: tuple[Tenant, ...]
    definitions: tuple[InstanceDefinition, ...]
    network_places: dict[str, Place] = field(compare=False, repr=False, default_factory=dict)
    policy_settings: dict[str, Settings] = field(compare=False, repr=False)
    policy_place: Place = field(compare=False, repr=False)
    plugin_sections: dict[str, dict[str, object]]
    plugin_place: Place = field(compare=False, repr=False)
