"""What a reload changes: enough to come from one configuration to the other, and no more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.config.configuration import Configuration
from kwhost.core.config.difference import Difference, HostChange, InstanceKey, compare
from kwhost.core.config.host import HostConfig, LogLevel
from kwhost.core.config.problems import Place, Problems
from kwhost.core.model.definition import (
    BlockLimits,
    Healthcheck,
    InstanceDefinition,
    Limits,
    ProbeKind,
    Restart,
)
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.instance import Engine, LogLimits
from kwhost.core.model.tenant import Quota, Tenant

HOST = HostConfig(state_dir=Path("/s"), run_dir=Path("/r"), api=Path("/r/api.sock"))
WEB = InstanceDefinition(tenant=TenantName("t"), name=InstanceName("web"), command=("a",))
WEB_KEY = InstanceKey(TenantName("t"), InstanceName("web"))


def configuration(
    *definitions: InstanceDefinition,
    tenants: tuple[Tenant, ...] = (Tenant(name=TenantName("t")),),
    host: HostConfig = HOST,
    sections: dict[str, dict[str, object]] | None = None,
) -> Configuration:
    return Configuration(
        source=Path("f"),
        host=host,
        tenants=tenants,
        definitions=definitions,
        policy_settings={},
        policy_place=Place(Problems(Path("f"), {})),
        plugin_sections=sections or {},
        plugin_place=Place(Problems(Path("f"), {})),
    )


names = st.sampled_from(["a", "b", "c"])
some_definitions = st.builds(
    InstanceDefinition,
    tenant=names.map(TenantName),
    name=names.map(InstanceName),
    command=st.sampled_from([("x",), ("y",)]),
    restart=st.sampled_from(Restart),
    limits=st.builds(Limits, memory=st.none() | st.integers(1, 2), storage=st.none() | st.just(1)),
)
configurations = st.builds(
    lambda definitions, tenants: configuration(*definitions, tenants=tuple(tenants)),
    st.lists(some_definitions, unique_by=lambda definition: (definition.tenant, definition.name)),
    st.lists(
        st.builds(Tenant, name=names.map(TenantName), users=st.sampled_from([(), ("u",)])),
        unique_by=lambda tenant: tenant.name,
    ),
)


def apply(
    old: Configuration, difference: Difference
) -> tuple[set[Tenant], dict[InstanceKey, InstanceDefinition]]:
    """What runs after a difference was carried out."""
    gone = {*difference.tenants_removed, *(tenant.name for tenant in difference.tenants_changed)}
    tenants = {tenant for tenant in old.tenants if tenant.name not in gone}
    tenants |= {*difference.tenants_added, *difference.tenants_changed}
    running = by_key(old)
    for key in difference.removed:
        del running[key]
    for definition in (*difference.added, *difference.to_restart, *difference.changed_in_place):
        running[InstanceKey(definition.tenant, definition.name)] = definition
    return tenants, running


def by_key(configuration: Configuration) -> dict[InstanceKey, InstanceDefinition]:
    return {InstanceKey(entry.tenant, entry.name): entry for entry in configuration.definitions}


@given(configurations, configurations)
def test_applying_the_difference_gives_the_new_configuration(old: Configuration, new: Configuration) -> None:
    assert apply(old, compare(old, new)) == (set(new.tenants), by_key(new))


@given(configurations, configurations)
def test_every_instance_is_in_exactly_one_list(old: Configuration, new: Configuration) -> None:
    difference = compare(old, new)
    written = (*difference.added, *difference.to_restart, *difference.changed_in_place)
    listed = [InstanceKey(entry.tenant, entry.name) for entry in written]

    assert sorted([*listed, *difference.removed, *difference.unchanged]) == sorted(
        by_key(old).keys() | by_key(new).keys()
    )


@given(configurations)
def test_a_configuration_does_not_differ_from_itself(same: Configuration) -> None:
    difference = compare(same, replace(same, source=Path("elsewhere")))

    assert difference.is_empty()
    assert difference.unchanged == tuple(by_key(same))


@pytest.mark.parametrize(
    "change",
    [
        {"restart": Restart.ALWAYS},
        {"healthcheck": Healthcheck(kind=ProbeKind.TCP, target=(":1",))},
        {"depends_on": (InstanceName("db"),)},
        {"stop_timeout": 1.0},
        {"limits": Limits(cpus=1.0)},
        {"limits": Limits(block=BlockLimits(read_bytes=1))},
    ],
)
def test_what_can_change_while_it_runs_restarts_nothing(change: dict[str, Any]) -> None:
    changed = replace(WEB, **change)

    difference = compare(configuration(WEB), configuration(changed))

    assert difference == Difference(changed_in_place=(changed,))


@pytest.mark.parametrize(
    "change",
    [
        {"command": ("b",)},
        {"engine": Engine.DIRECT},
        {"environment": {"A": "1"}},
        {"timeout": 1.0},
        {"limits": Limits(memory_headroom=2.0)},
        {"limits": Limits(storage=1)},
        {"limits": Limits(memory=1)},
        {"limits": Limits(pids=1)},
        {"limits": Limits(memory=1, cpus=1.0)},
    ],
)
def test_anything_else_restarts_this_instance_alone(change: dict[str, Any]) -> None:
    other = replace(WEB, name=InstanceName("other"))
    changed = replace(WEB, **change)

    difference = compare(configuration(WEB, other), configuration(changed, other))

    assert difference == Difference(
        to_restart=(changed,), unchanged=(InstanceKey(TenantName("t"), InstanceName("other")),)
    )


def test_every_field_was_thought_of() -> None:
    """A field that is new restarts, unless it is added to what a running instance can be given."""
    known = "tenant name command image rootfs engine environment workdir user limits volumes network init"
    known += " read_only interactive terminal restart healthcheck depends_on stop_timeout timeout auto_remove"
    known += " policy policy_text ports traffic replica_of entrypoint changes tmpfs secrets"

    assert set(InstanceDefinition.__dataclass_fields__) == set(known.split())


def test_a_tenants_quota_changes_without_its_instances() -> None:
    changed = Tenant(name=TenantName("t"), quota=Quota(memory=1))

    difference = compare(configuration(WEB), configuration(WEB, tenants=(changed,)))

    assert difference == Difference(tenants_changed=(changed,), unchanged=(WEB_KEY,))


def test_the_order_of_the_file_is_no_difference() -> None:
    other = replace(WEB, name=InstanceName("other"))

    assert compare(configuration(WEB, other), configuration(other, WEB)).is_empty()


def test_what_the_host_needs_a_restart_for_is_named() -> None:
    new = HOST._replace(log_level=LogLevel.DEBUG, log=LogLimits(size=1), uid_base=65536, plugins=("p",))

    assert set(compare(configuration(), configuration(host=new)).host) == {
        HostChange("log_level", needs_restart=False),
        HostChange("log", needs_restart=False),
        HostChange("uid_base", needs_restart=True),
        HostChange("plugins", needs_restart=True),
    }


def test_sections_of_plugins_that_differ_are_named() -> None:
    old = configuration(sections={"same": {}, "gone": {}, "other": {"a": 1}})
    new = configuration(sections={"same": {}, "added": {}, "other": {"a": 2}})

    assert compare(old, new).plugins == ("added", "gone", "other")
