"""The plugin's section and hooks, as far as they need no WireGuard."""

import importlib
import tomllib
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kwhost.core.errors import HostError
from kwhost.core.model.ids import TenantName
from kwhost.core.model.status import TenantStatus
from kwhost.testing import FakeHost, LoadedPlugin, LoadPlugin, wait_until

from kwhost_net_wireguard.configuration import Configuration, Endpoint, Peer
from kwhost_net_wireguard.plugin import WireGuard

KEY, OTHER = "A" * 43 + "=", "B" * 42 + "A="
PEER = {"public_key": KEY, "endpoint": "192.0.2.2:51820", "subnets": ["10.88.7.0/24", "fd00:7::/64"]}
SUBNET = IPv4Network("10.88.1.0/24"), IPv6Network("fd00:1::/64")


def tunnel(*peers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"listen_port": 51_820, "peers": [*peers], **changes}


def read(**tenants: dict[str, Any]) -> Configuration:
    return msgspec.convert({"tenants": tenants}, Configuration)


def test_the_readmes_configuration_is_right() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text()
    examples = [part.partition("```")[0] for part in text.split("```toml")[1:]]

    sections = [tomllib.loads(example)["plugins"]["wireguard"] for example in examples]
    assert len(sections) == 2
    for section in sections:
        msgspec.convert(section, Configuration)


def test_a_section_is_read() -> None:
    (peer,) = read(acme=tunnel({**PEER, "keepalive": "25s"})).tenants["acme"].peers

    assert peer.networks == (IPv4Network("10.88.7.0/24"), IPv6Network("fd00:7::/64"))
    assert str(peer.where) == str(Endpoint(IPv4Network("192.0.2.2/32")[0], 51_820))
    assert peer.keepalive_seconds == 25


@pytest.mark.parametrize("endpoint", ["192.0.2.2:1", "[2001:db8::1]:65535"])
def test_an_endpoint_is_an_address_and_a_port(endpoint: str) -> None:
    where = Peer(public_key=KEY, subnets=("10.0.0.0/24",), endpoint=endpoint).where
    assert where
    assert endpoint in (f"{where.address}:{where.port}", f"[{where.address}]:{where.port}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"public_key": "short"}, "public_key is no key of WireGuard"),
        ({"subnets": []}, "length >= 1"),
        ({"subnets": ["10.88.7.1/24"]}, "host bits set"),
        ({"subnets": ["acme"]}, "does not appear to be"),
        ({"endpoint": "other.example:51820"}, "with an IP address"),
        ({"endpoint": "192.0.2.2"}, "no endpoint"),
        ({"endpoint": "2001:db8::1:51820"}, "no endpoint"),
        ({"endpoint": "[192.0.2.2]:51820"}, "no endpoint"),
        ({"endpoint": "192.0.2.2:0"}, "ports are"),
        ({"endpoint": "192.0.2.2:65536"}, "ports are"),
        ({"endpoint": "10.88.7.9:51820"}, "behind the tunnel"),
        ({"keepalive": "soon"}, "is no duration"),
        ({"keepalive": "2d"}, "keepalive must be"),
        ({"preshared_key_file": "relative"}, "absolute path"),
        ({"color": "red"}, "unknown field"),
    ],
)
def test_a_peer_that_makes_no_sense_is_an_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        read(acme=tunnel({**PEER, **changes}))


@pytest.mark.parametrize(
    ("tenants", "message"),
    [
        ({"acme": tunnel(PEER, PEER)}, f"two peers have the public key {KEY}"),
        (
            {"acme": tunnel(PEER, {**PEER, "public_key": OTHER})},
            "the subnets 10.88.7.0/24 of peer .* and 10.88.7.0/24 of peer .* overlap",
        ),
        ({"acme": tunnel(PEER), "globex": tunnel()}, "acme and globex cannot both have listen_port 51820"),
        (
            {"acme": tunnel(PEER), "globex": tunnel({**PEER, "public_key": OTHER}, listen_port=7)},
            "of tenant acme and .* of tenant globex overlap",
        ),
        ({"acme": {"peers": []}}, "listen_port"),
        ({"acme": tunnel(listen_port=0)}, ">= 1"),
        ({"acme": tunnel(mtu=1000)}, ">= 1280"),
        ({"acme": tunnel(private_key_file="own.key")}, "absolute path"),
    ],
)
def test_tunnels_that_make_no_sense_are_errors(tenants: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        read(**tenants)


async def test_who_has_no_tunnel_has_no_uplink(load_plugin: LoadPlugin) -> None:
    plugin = load_plugin(
        WireGuard(), "wireguard", tenants={"globex": tunnel(PEER), "acme": tunnel(listen_port=7)}
    )
    async with plugin.serving():
        assert await plugin.network_uplinks(SUBNET) == ()


async def test_addresses_of_both_hosts_that_overlap_are_an_error_that_names_both(
    load_plugin: LoadPlugin,
) -> None:
    plugin = load_plugin(
        WireGuard(), "wireguard", tenants={"acme": tunnel({**PEER, "subnets": ["10.88.0.0/16"]})}
    )
    async with plugin.serving():
        assert await plugin.network_uplinks(SUBNET) == ()

    (fault,) = plugin.faults
    assert "tenant acme has 10.88.1.0/24 on this host, and 10.88.0.0/16 on the host with the key" in fault
    plugin.faults.clear()


async def test_a_key_that_others_may_read_is_an_error(load_plugin: LoadPlugin, tmp_path: Path) -> None:
    file = tmp_path / "own.key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o644)
    plugin = load_plugin(WireGuard(), "wireguard", tenants={"acme": tunnel(PEER, private_key_file=str(file))})
    async with plugin.serving():
        assert await plugin.network_uplinks(SUBNET) == ()

    (fault,) = plugin.faults
    assert "others may read or change the key" in fault
    plugin.faults.clear()


async def test_without_tunnels_there_are_no_values(load_plugin: LoadPlugin) -> None:
    plugin = load_plugin(WireGuard(), "wireguard", tenants={"acme": tunnel()})
    async with plugin.serving():
        metrics = await plugin.plugins.metrics()

    assert [metric.samples for metric in metrics] == [()] * 3


class FakeKeeper:
    """Answers each time the next of `outcomes`, then that there is nothing to do."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)
        self.wanted: list[list[str]] = []

    def tend(self, _: Configuration, tenants: list[str]) -> object:
        self.wanted.append(tenants)
        outcome = self.outcomes.pop(0) if self.outcomes else ()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def tenant_status(name: str) -> TenantStatus:
    return TenantStatus(
        name=TenantName(name), users=(), isolation="vm", instances=0, running=0, used={}, quota={}
    )


async def served(load_plugin: LoadPlugin, keeper: FakeKeeper, *tenants: str) -> LoadedPlugin:
    """A plugin that has looked after its tunnels a few times."""
    hooks = WireGuard(interval=0.001)
    hooks._keeper = keeper  # type: ignore[assignment]
    plugin = load_plugin(hooks, "wireguard", tenants={"acme": tunnel()})
    plugin.host.set_tenants(*(tenant_status(name) for name in tenants))
    async with plugin.serving():
        await wait_until(lambda: len(keeper.wanted) > 4)
    return plugin


async def test_what_is_repaired_is_in_the_journal(load_plugin: LoadPlugin) -> None:
    plugin = await served(load_plugin, FakeKeeper(("make the device",)), "acme", "globex")

    assert plugin.lines == ["plugin wireguard: repaired: make the device"]


async def test_what_cannot_be_repaired_is_said_once_and_tried_again(load_plugin: LoadPlugin) -> None:
    keeper = FakeKeeper(HostError("no WireGuard"), HostError("no WireGuard"), ("make the device",))

    plugin = await served(load_plugin, keeper, "acme")

    assert plugin.lines == [
        "plugin wireguard: no WireGuard",
        "plugin wireguard: repaired: make the device",
    ]


async def test_a_tunnel_of_nobody_is_said_and_goes(load_plugin: LoadPlugin) -> None:
    keeper = FakeKeeper()

    plugin = await served(load_plugin, keeper, "globex")

    assert plugin.lines == ["plugin wireguard: there is no tenant acme to have a tunnel"]
    assert keeper.wanted[0] == []


async def test_tunnels_live_on_until_the_daemon_knows_its_tenants(
    load_plugin: LoadPlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, hooks = FakeKeeper(), WireGuard(interval=0.001)
    hooks._keeper = keeper  # type: ignore[assignment]
    plugin = load_plugin(hooks, "wireguard", tenants={"acme": tunnel()})
    known: list[TenantStatus] = []
    looks: list[int] = []
    monkeypatch.setattr(FakeHost, "tenants", lambda _: looks.append(len(known)) or tuple(known))
    async with plugin.serving():
        await wait_until(lambda: len(looks) > 4)
        assert keeper.wanted == []
        known.append(tenant_status("acme"))
        await wait_until(lambda: keeper.wanted)

    assert keeper.wanted[0] == ["acme"]


def test_the_entry_point_names_the_plugin() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"]["kwhost"]["wireguard"].partition(":")

    assert isinstance(getattr(importlib.import_module(module), name), WireGuard)
