"""Reads a configuration file as a whole."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kwhost.core.config.build import DeclaredTenant, declare_tenant
from kwhost.core.config.check import check_tenant
from kwhost.core.config.configuration import Configuration
from kwhost.core.config.document import parse_document
from kwhost.core.config.host import config_file, host_config, read_file
from kwhost.core.config.network_check import check_networks, default_network
from kwhost.core.config.problems import Place
from kwhost.core.config.schema import CONFIGURATION
from kwhost.core.config.tables import Settings
from kwhost.core.errors import ConfigError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceName
from kwhost.core.model.policy import BUILT_IN_POLICIES

__all__ = ["CheckPolicies", "load_configuration", "load_default_configuration"]

# Reports what is wrong with the rules of `[policies]`; it may raise all that was reported.
CheckPolicies = Callable[[Mapping[str, Settings], Place], object]


def _check_no_rules(_settings: Mapping[str, Settings], _place: Place) -> None:
    """For callers that need no policies."""


def load_configuration(
    path: Path,
    environment: Mapping[str, str] | None = None,
    uid: int | None = None,
    *,
    check_policies: CheckPolicies = _check_no_rules,
) -> Configuration:
    """Read and check a file. Raises ConfigErrors with all that is wrong in it, ConfigError where it cannot
    be read. The rules of policies are for `check_policies` to check: core.policy.configured."""
    data = read_file(path)
    if data is None:
        raise ConfigError(f"there is no file {path}")
    return _build(path, data, environment, uid, check_policies)


def load_default_configuration(check_policies: CheckPolicies = _check_no_rules) -> Configuration:
    """This user's own file; where there is none, a configuration without tenants. Raises as the other."""
    path = config_file(os.environ, os.geteuid())
    return _build(path, read_file(path) or b"", None, None, check_policies)


def _build(
    path: Path,
    data: bytes,
    environment: Mapping[str, str] | None,
    uid: int | None,
    check_policies: CheckPolicies,
) -> Configuration:
    values, top = parse_document(path, data)
    settings = CONFIGURATION.read(values, top) or {}
    source = Path(os.path.abspath(path))
    tenants = [
        declare_tenant(name, table, top.below("tenants", name), source.parent)
        for name, table in settings.get("tenants", {}).items()
    ]
    policies = settings.get("policies", {})
    pooled = "subnet_pool" in settings.get("host", {})
    for tenant in tenants:
        check_tenant(tenant, list(dict.fromkeys([*BUILT_IN_POLICIES, *policies])))
    check_networks(tenants, settings.get("host", {}), top.below("host"))
    check_policies(policies, top.below("policies"))
    top.problems.raise_any()
    return Configuration(
        source=source,
        host=host_config(
            settings.get("host", {}),
            os.environ if environment is None else environment,
            os.geteuid() if uid is None else uid,
        ),
        tenants=tuple(tenant.tenant for tenant in tenants),
        definitions=tuple(definition for tenant in tenants for definition in _expand(tenant, pooled=pooled)),
        network_places=_network_places(tenants),
        policy_settings=policies,
        policy_place=top.below("policies"),
        plugin_sections=settings.get("plugins", {}),
        plugin_place=top.below("plugins"),
    )


def _network_places(tenants: Sequence[DeclaredTenant]) -> dict[str, Place]:
    """Where each network is named first: which there are, plugins say."""
    places: dict[str, Place] = {}
    for tenant in tenants:
        for instance in tenant.instances:
            if name := instance.definition.network:
                places.setdefault(name, instance.place.below("network"))
    return places


def _expand(declared: DeclaredTenant, *, pooled: bool) -> Iterator[InstanceDefinition]:
    """Each replica by itself; who needs an instance needs all of its replicas."""
    network = default_network(declared.tenant, pooled=pooled)
    replicas = {instance.definition.name: instance.names() for instance in declared.instances}
    for instance in declared.instances:
        needed = (
            InstanceName(name)
            for other in instance.definition.depends_on
            for name in replicas.get(other, (other,))
        )
        depends_on = tuple(dict.fromkeys(needed))
        for name in instance.names():
            yield replace(
                instance.definition,
                name=InstanceName(name),
                depends_on=depends_on,
                network=instance.definition.network or network,
                replica_of=instance.definition.name if instance.replicas > 1 else None,
            )
