"""What plugins answer to network_uplinks is checked before kwhost routes anything there."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any

import pytest

from kwhost.core.model.ids import TenantName
from kwhost.core.pluginmgr.answers import CHECKS
from kwhost.core.pluginmgr.faults import PluginFault
from kwhost.hookspecs import PluginHost, Uplink
from kwhost.testing import FakeHost, LoadedPlugin, LoadPlugin, fake_host, load_plugin
from tests.unit.plugin_parts import make_plugin

__all__ = ["fake_host", "load_plugin"]

SUBNET = IPv4Network("10.88.1.0/24"), IPv6Network("fd00:1::/64")
BEYOND: tuple[Any, ...] = (IPv4Network("10.89.1.0/24"), IPv6Network("fd00:2::/64"))


def uplink(**changes: Any) -> Uplink:
    return Uplink(**{"interface": "wg0", "subnets": BEYOND, "mtu": 1420, **changes})


async def asked(plugin: LoadedPlugin, subnet: tuple[IPv4Network, IPv6Network] = SUBNET) -> tuple[Uplink, ...]:
    return await plugin.network_uplinks(subnet)


async def test_a_plugin_sees_tenant_subnet_and_host(load_plugin: LoadPlugin, fake_host: FakeHost) -> None:
    seen: list[object] = []

    def network_uplinks(tenant: Any, subnet: object, host: PluginHost) -> list[Uplink]:
        seen.extend((tenant.name, subnet, host.state_dir))
        return [uplink()]

    plugin = load_plugin(make_plugin(network_uplinks=network_uplinks))
    async with plugin.serving():
        assert await asked(plugin) == (uplink(),)

    assert seen == [TenantName("acme"), SUBNET, fake_host.state_dir]


async def test_a_plugin_that_fails_leaves_the_uplinks_as_they_were(load_plugin: LoadPlugin) -> None:
    answers = [[uplink()], "nonsense", "nonsense"]
    plugin = load_plugin(make_plugin(network_uplinks=lambda: answers.pop(0)))
    async with plugin.serving():
        assert await asked(plugin) == (uplink(),)
        assert await asked(plugin) == (uplink(),)
        moved = IPv4Network("10.88.2.0/24"), SUBNET[1]
        assert await asked(plugin, moved) == ()

    assert len(plugin.faults) == 2
    plugin.faults.clear()


@pytest.mark.parametrize(
    "changes",
    [
        {"interface": ""},
        {"interface": "all"},
        {"interface": "default"},
        {"interface": "lo"},
        {"interface": "../ip_forward"},
        {"interface": "a" * 16},
        {"interface": 'wg"'},
        {"interface": 7},
        {"mtu": 1279},
        {"mtu": 65_536},
        {"mtu": "1420"},
        {"subnets": ()},
        {"subnets": None},
        {"subnets": ("10.89.1.0/24",)},
        {"subnets": (IPv4Address("10.89.1.1"),)},
        {"subnets": (IPv4Network("0.0.0.0/0"),)},
        {"subnets": (IPv4Network("10.0.0.0/7"),)},
        {"subnets": (IPv4Network("8.8.8.0/24"),)},
        {"subnets": (IPv4Network("127.0.0.0/8"),)},
        {"subnets": (IPv4Network("169.254.0.0/16"),)},
        {"subnets": (IPv6Network("::/0"),)},
        {"subnets": (IPv6Network("fe80::/64"),)},
    ],
)
def test_an_uplink_that_makes_no_sense_is_a_fault(changes: dict[str, Any]) -> None:
    with pytest.raises(PluginFault):
        CHECKS["network_uplinks"]([uplink(**changes)])


@pytest.mark.parametrize("answer", [None, uplink(), [uplink(), uplink()], ["wg0"], [uplink()] * 101])
def test_other_answers_than_a_few_different_uplinks_are_faults(answer: object) -> None:
    with pytest.raises(PluginFault):
        CHECKS["network_uplinks"](answer)


def test_subnets_are_copied() -> None:
    subnets = list(BEYOND)
    checked = CHECKS["network_uplinks"]([uplink(subnets=subnets)])
    subnets.clear()

    assert checked == (uplink(),)
