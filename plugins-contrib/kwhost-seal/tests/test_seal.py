"""When instances are sealed, and that nothing but their end unseals them."""

import importlib
import json
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from kwhost.core.errors import Conflict
from kwhost.core.model.events import EventKind
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.core.model.status import Health, InstanceState, InstanceStatus
from kwhost.testing import FakeHost, LoadedPlugin, LoadPlugin, make_instance, wait_until

from kwhost_seal.plugin import Seal

RULES = [
    {"tenant": "acme", "instances": ["web", "web-*"], "writable": ["/var/lib/web/**"], "after": "1h"},
    {"tenant": "dev-*", "exec": True, "after": "0s"},
]


def running(**changes: Any) -> InstanceStatus:
    """It started just now, and its health check has not passed yet."""
    return make_instance(**{"health": Health.STARTING, "started": time.time(), **changes})


def loaded(load_plugin: LoadPlugin) -> LoadedPlugin:
    return load_plugin(Seal(), "seal", rules=RULES)


async def sealed(plugin: LoadedPlugin, instance: InstanceStatus) -> None:
    """Wait until the instance is sealed, and the host knows."""
    host = plugin.host
    await wait_until(lambda: instance.id in host.refreshed)
    assert await plugin.policy_layer(instance) is not None


async def test_an_instance_is_sealed_once_it_is_healthy(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    plugin, instance = loaded(load_plugin), running()
    fake_host.set_instance(instance)
    async with plugin.serving():
        assert await plugin.policy_layer(instance) is None
        plugin.notify(EventKind.HEALTHY, instance)
        await sealed(plugin, instance)

    assert plugin.lines == ["plugin seal: sealed acme/web"]
    assert fake_host.refreshed == [instance.id]


async def test_a_layer_is_what_its_rule_leaves(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    plugin = loaded(load_plugin)
    web = running(health=Health.HEALTHY)
    dev = running(health=Health.NONE, tenant=TenantName("dev-1"), name=InstanceName("any"))
    fake_host.set_instance(web)
    fake_host.set_instance(dev)
    async with plugin.serving():
        await wait_until(lambda: len(fake_host.refreshed) == 2)
        layers = [await plugin.policy_layer(instance) for instance in (web, dev)]

    assert [layer and layer["syscalls"] for layer in layers] == [
        {"deny": ["execve", "execveat", "listen"]},
        {"deny": ["listen"]},
    ]
    assert '"/var/lib/web/**"' in json.dumps(layers[0])


async def test_without_a_health_check_time_seals(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    plugin = loaded(load_plugin)
    at_once = running(health=Health.NONE, tenant=TenantName("dev-1"))
    later = running(health=Health.NONE)
    fake_host.set_instance(at_once)
    fake_host.set_instance(later)
    async with plugin.serving():
        await sealed(plugin, at_once)
        assert await plugin.policy_layer(later) is None


async def test_with_a_health_check_time_does_not_seal(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    plugin = loaded(load_plugin)
    checked = running(tenant=TenantName("dev-1"))
    timed = running(tenant=TenantName("dev-1"), health=Health.NONE)
    fake_host.set_instance(checked)
    fake_host.set_instance(timed)
    async with plugin.serving():
        await sealed(plugin, timed)
        assert await plugin.policy_layer(checked) is None


async def test_being_unhealthy_does_not_unseal(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    plugin, instance = loaded(load_plugin), running()
    fake_host.set_instance(instance)
    async with plugin.serving():
        plugin.notify(EventKind.HEALTHY, instance)
        await sealed(plugin, instance)
        unhealthy = running(id=instance.id, started=instance.started, health=Health.UNHEALTHY)
        fake_host.set_instance(unhealthy)
        plugin.notify(EventKind.UNHEALTHY, unhealthy)
        other = running(name=InstanceName("web-2"), health=Health.HEALTHY)
        fake_host.set_instance(other)
        await sealed(plugin, other)  # so there was a look at both
        assert await plugin.policy_layer(unhealthy) is not None


@pytest.mark.parametrize("state", [InstanceState.PAUSED, InstanceState.STOPPING])
async def test_the_run_stays_sealed_to_its_end(
    load_plugin: LoadPlugin, fake_host: FakeHost, state: InstanceState
) -> None:
    plugin, instance = loaded(load_plugin), running(health=Health.HEALTHY)
    fake_host.set_instance(instance)
    async with plugin.serving():
        await sealed(plugin, instance)
        assert await plugin.policy_layer(running(id=instance.id, started=instance.started, state=state))


async def test_a_restart_is_open_until_it_is_healthy_again(
    load_plugin: LoadPlugin, fake_host: FakeHost
) -> None:
    plugin, first = loaded(load_plugin), running(health=Health.HEALTHY)
    fake_host.set_instance(first)
    async with plugin.serving():
        await sealed(plugin, first)
        # While it starts, the record still has the former run's time.
        starting = running(id=first.id, started=first.started, state=InstanceState.STARTING)
        assert await plugin.policy_layer(starting) is None
        second = running(id=first.id, started=time.time() + 1)
        fake_host.set_instance(second)
        assert await plugin.policy_layer(second) is None
        plugin.notify(EventKind.HEALTHY, second, time=time.time() - 1)  # of the former run, and late
        other = running(name=InstanceName("web-2"), health=Health.HEALTHY)
        fake_host.set_instance(other)
        await sealed(plugin, other)
        assert await plugin.policy_layer(second) is None
        plugin.notify(EventKind.HEALTHY, second, time=time.time() + 2)
        await wait_until(lambda: fake_host.refreshed.count(first.id) == 2)
        assert await plugin.policy_layer(second) is not None


async def test_a_new_daemon_knows_what_is_sealed_before_it_knows_its_instances(
    load_plugin: LoadPlugin, fake_host: FakeHost
) -> None:
    instance = running(health=Health.HEALTHY)
    fake_host.set_instance(instance)
    first = loaded(load_plugin)
    async with first.serving():
        await sealed(first, instance)
    fake_host.refreshed.clear()
    fake_host.remove_instance(instance.id)

    second, adopted = loaded(load_plugin), running(id=instance.id, started=instance.started)
    other = running(name=InstanceName("web-2"), health=Health.HEALTHY)
    fake_host.set_instance(other)
    async with second.serving():
        await sealed(second, other)
        fake_host.set_instance(adopted)
        assert await second.policy_layer(adopted) is not None
        await sealed(second, adopted)


async def test_what_is_not_known_yet_is_not_called_open(load_plugin: LoadPlugin) -> None:
    plugin = loaded(load_plugin)

    await plugin.policy_layer(running())

    assert "not known yet whether acme/web is sealed" in plugin.faults[0]
    plugin.faults.clear()


async def test_a_spoilt_file_is_said_and_unseals_nothing(
    load_plugin: LoadPlugin, fake_host: FakeHost
) -> None:
    (fake_host.run_dir / "seal.json").write_text('{"version": 1, "sealed": [')
    plugin = loaded(load_plugin)
    async with plugin.serving():
        await plugin.policy_layer(running())

    assert "cannot tell which instances are sealed" in plugin.faults[0]
    assert "not known yet whether acme/web is sealed" in plugin.faults[1]
    plugin.faults.clear()


async def test_a_removed_instance_is_forgotten(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    plugin, instance = loaded(load_plugin), running(health=Health.HEALTHY)
    fake_host.set_instance(instance)
    file = fake_host.run_dir / "seal.json"
    async with plugin.serving():
        await sealed(plugin, instance)
        assert instance.id in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
        fake_host.remove_instance(instance.id)
        plugin.notify(EventKind.REMOVED, instance)
        await wait_until(lambda: instance.id not in file.read_text())


async def test_a_refusal_is_said_once_and_tried_again(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    plugin, instance = loaded(load_plugin), running(health=Health.HEALTHY)
    fake_host.refresh_error = Conflict("needs a restart")
    fake_host.set_instance(instance)
    async with plugin.serving():
        await wait_until(lambda: plugin.lines)
        plugin.notify(EventKind.HEALTHY, instance)  # another look
        fake_host.refresh_error = None
        await sealed(plugin, instance)

    assert plugin.lines == [
        "plugin seal: cannot seal acme/web, trying again: needs a restart",
        "plugin seal: sealed acme/web",
    ]


async def test_others_are_never_sealed(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    plugin, other = loaded(load_plugin), running(name=InstanceName("db"), health=Health.HEALTHY)
    instance = running(health=Health.HEALTHY)
    fake_host.set_instance(other)
    fake_host.set_instance(instance)
    async with plugin.serving():
        await sealed(plugin, instance)
        assert await plugin.policy_layer(other) is None

    assert fake_host.refreshed == [instance.id]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"writable": ["var"]}, "no absolute path"),
        ({"writable": ["/var/"]}, "write /DIRECTORY"),
        ({"after": "soon"}, "no duration"),
        ({"writeable": []}, "unknown key; did you mean writable"),
        ({"exec": "no"}, "Expected `bool`"),
    ],
)
def test_a_wrong_rule_is_said(load_plugin: LoadPlugin, rule: dict[str, object], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        load_plugin(Seal(), "seal", rules=[rule])


def test_the_package_is_what_the_entry_point_says() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    entry = tomllib.loads(project.read_text())["project"]["entry-points"]["kwhost"]["seal"]
    module, _, name = entry.partition(":")
    assert isinstance(getattr(importlib.import_module(module), name), Seal)
