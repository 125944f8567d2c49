"""Reads a configuration file as a whole."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from kwhost.core.config.build import DeclaredTenant, declare_tenant
from kwhost.core.config.check import check_tenant
from kwhost.core.config.configuration import Configuration
from kwhost.core.config.document import parse_document
from kwhost.core.config.host import config_file, host_config, read_file
from kwhost.core.config.schema import CONFIGURATION
from kwhost.core.errors import ConfigError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceName

__all__ = ["load_configuration", "load_default_configuration"]


def load_configuration(
    path: Path, environment: Mapping[str, str] | None = None, uid: int | None = None
) -> Configuration:
    """Read and check a file. Raises ConfigErrors with all that is wrong in it, ConfigError where it cannot
    be read."""
    data = read_file(path)
    if data is None:
        raise ConfigError(f"there is no file {path}")
    return _build(path, data, environment, uid)


def load_default_configuration() -> Configuration:
    """This user's own file; where there is none, a configuration without tenants. Raises as the other."""
    path = config_file(os.environ, os.geteuid())
    return _build(path, read_file(path) or b"", None, None)


def _build(path: Path, data: bytes, environment: Mapping[str, str] | None, uid: int | None) -> Configuration:
    values, top = parse_document(path, data)
    settings = CONFIGURATION.read(values, top) or {}
    source = Path(os.path.abspath(path))
    tenants = [
        declare_tenant(name, table, top.below("tenants", name), source.parent)
        for name, table in settings.get("tenants", {}).items()
    ]
    for tenant in tenants:
        check_tenant(tenant)
    top.problems.raise_any()
    return Configuration(
        source=source,
        host=host_config(
            settings.get("host", {}),
            os.environ if environment is None else environment,
            os.geteuid() if uid is None else uid,
        ),
        tenants=tuple(tenant.tenant for tenant in tenants),
        definitions=tuple(definition for tenant in tenants for definition in _expand(tenant)),
        plugin_sections=settings.get("plugins", {}),
        plugin_place=top.below("plugins"),
    )


def _expand(declared: DeclaredTenant) -> Iterator[InstanceDefinition]:
    """Each replica by itself; who needs an instance needs all of its replicas."""
    replicas = {instance.definition.name: instance.names() for instance in declared.instances}
    for instance in declared.instances:
        needed = (
            InstanceName(name)
            for other in instance.definition.depends_on
            for name in replicas.get(other, (other,))
        )
        depends_on = tuple(dict.fromkeys(needed))
        for name in instance.names():
            yield replace(instance.definition, name=InstanceName(name), depends_on=depends_on)
