"""Which networks and ports an instance may have."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from kwhost.core.config.host import HostConfig
from kwhost.core.daemon.networks import DaemonNetworks
from kwhost.core.errors import UsageError
from kwhost.core.model.ids import InstanceName, new_instance_id
from kwhost.core.model.instance import Engine
from kwhost.core.model.network import Egress, InstanceAddresses, PublishedPort, TenantNetwork, Traffic, Uplink
from kwhost.core.model.status import InstanceState
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.hookspecs import NetworkOffer
from kwhost.net.addresses import Subnet
from tests.unit.fake_hosting import ACME, make_definition

HOST = HostConfig(state_dir=Path("/s"), run_dir=Path("/r"), api=Path("/r/api.sock"))
PLAIN, NETWORKED = Tenant(name=ACME), Tenant(name=ACME, network=TenantNetwork())


def offers() -> Mapping[str, NetworkOffer]:
    return {name: NetworkOffer(name=name, summary="-") for name in ("none", "tenant", "host", "lab")}


async def no_uplinks(_tenant: Tenant, _subnet: Subnet) -> tuple[Uplink, ...]:
    return ()


async def tell(_text: str) -> None:
    pass


class FakeTenants:
    """What was asked of tenants' networks, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def adopt(self, record: InstanceRecord, _tenant: Tenant, _pid: int) -> None:
        self.calls.append(f"adopt {record.name}")

    async def settle(self) -> None:
        self.calls.append("settle")

    async def repair(self) -> None:
        self.calls.append("repair")


def record_of(name: str) -> InstanceRecord:
    return InstanceRecord(
        id=new_instance_id(),
        tenant=ACME,
        name=InstanceName(name),
        definition=make_definition(network="tenant"),
        state=InstanceState.RUNNING,
        desired="running",
        created=0.0,
        addresses=InstanceAddresses(
            address4="10.0.0.2", address6="fd00::2", subnet4="10.0.0.0/24", subnet6="fd00::/64", mac="-"
        ),
    )


async def test_who_answers_late_is_adopted_and_everything_goes_on(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until all have answered nothing is changed, but not for ever."""
    monkeypatch.setattr("kwhost.core.daemon.networks.os.geteuid", lambda: 0)
    networks = DaemonNetworks(HOST, offers, no_uplinks, lambda _: None, tell)
    fake = FakeTenants()
    networks._made = fake  # type: ignore[assignment]
    punctual, late = record_of("punctual"), record_of("late")
    networks.expect([punctual.id, late.id])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(networks.run, [punctual, late])
        await networks.adopt(punctual, NETWORKED, 1)
        await trio.sleep(20)
        await networks.adopt(late, NETWORKED, 2)
        nursery.cancel_scope.cancel()

    assert fake.calls == ["adopt punctual", "settle", "adopt late", "settle"]


def choose(tenant: Tenant, host: HostConfig = HOST, *, confined: bool = False, **fields: Any) -> str:
    networks = DaemonNetworks(host, offers, no_uplinks, {"kernel": 2}.get, tell)
    definition = make_definition(**fields)
    return networks.choose(tenant, definition, definition.engine.value, confined=confined)


def test_the_default_is_what_the_tenant_has() -> None:
    assert choose(PLAIN) == "none"
    assert choose(NETWORKED) == "tenant"
    assert choose(NETWORKED, network="lab") == "lab"


def test_an_unknown_network_is_an_error_that_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="host, lab, none, tenant"):
        choose(PLAIN, network="labs")


def test_the_hosts_network_has_to_be_allowed_and_is_for_the_operator() -> None:
    allowing = HOST._replace(allow_host_network=True)

    assert choose(PLAIN, allowing, network="host") == "host"
    with pytest.raises(UsageError, match="not allowed"):
        choose(PLAIN, network="host")


@pytest.mark.parametrize("network", ["host", "lab", "tenant"])
def test_tenants_users_have_what_was_configured_for_them(network: str) -> None:
    allowing = HOST._replace(allow_host_network=True)

    assert choose(NETWORKED, confined=True, network="tenant") == "tenant"
    assert choose(NETWORKED, confined=True, network="none") == "none"
    with pytest.raises(UsageError, match="for the operator to give"):
        choose(PLAIN, allowing, confined=True, network=network)


def test_ports_need_the_tenants_network() -> None:
    with pytest.raises(UsageError, match="ports cannot be published"):
        choose(PLAIN, ports=(PublishedPort(port=8080, target=80),))


@pytest.mark.parametrize(
    "port",
    [
        PublishedPort(port=1023, target=80),
        PublishedPort(port=8080, target=80, address=""),
        PublishedPort(port=8080, target=80, address="192.0.2.1"),
    ],
)
def test_tenants_users_publish_high_ports_on_loopback_only(port: PublishedPort) -> None:
    assert choose(NETWORKED, ports=(port,)) == "tenant"
    with pytest.raises(UsageError, match="tenants' users may publish"):
        choose(NETWORKED, confined=True, ports=(port,))


def test_tenants_users_do_not_allow_themselves_calls() -> None:
    traffic = Traffic(egress=(Egress(to="0.0.0.0/0"),))

    with pytest.raises(UsageError, match="for the operator"):
        choose(NETWORKED, confined=True, traffic=traffic)


def test_an_engine_that_drives_taps_has_its_tenants_network_or_none() -> None:
    allowing = HOST._replace(allow_host_network=True)

    assert choose(NETWORKED, engine=Engine.KERNEL) == "tenant"
    assert choose(NETWORKED, engine=Engine.KERNEL, network="none") == "none"
    for network in ("host", "lab"):
        with pytest.raises(UsageError, match="of which the engine 'kernel' has none"):
            choose(NETWORKED, allowing, engine=Engine.KERNEL, network=network)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", ""])
def test_no_port_of_a_loopback_address_leads_to_an_engine_that_drives_taps(address: str) -> None:
    def publish(at: str) -> str:
        ports = (PublishedPort(port=8080, target=80, address=at),)
        return choose(NETWORKED, engine=Engine.KERNEL, ports=ports)

    assert publish("192.0.2.1") == "tenant"
    with pytest.raises(UsageError, match="ports of loopback addresses do not lead"):
        publish(address)


def test_an_ordinary_users_daemon_has_no_taps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(UsageError, match="only a daemon of root's"):
        choose(NETWORKED, engine=Engine.KERNEL)
