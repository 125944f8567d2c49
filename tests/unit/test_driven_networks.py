"""What an ordinary user's daemon can have a network do, and what it says of the rest."""

from dataclasses import replace

import pytest

from kwhost.core.daemon.driven_networks import DrivenNetworks
from kwhost.core.errors import Conflict, LimitError, NetworkError
from kwhost.core.model.definition import InstanceDefinition
from kwhost.core.model.ids import InstanceId
from kwhost.core.model.network import Egress, NetworkLimits, TenantNetwork, Traffic
from kwhost.core.model.ports import parse_port
from kwhost.core.model.status import InstanceState
from kwhost.core.store.records import InstanceRecord
from kwhost.testing import make_definition, make_tenant


def record_of(definition: InstanceDefinition) -> InstanceRecord:
    return InstanceRecord(
        id=InstanceId("0" * 12),
        tenant=definition.tenant,
        name=definition.name,
        definition=definition,
        state=InstanceState.RUNNING,
        desired="running",
        created=0.0,
    )


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> DrivenNetworks:
    monkeypatch.setattr("kwhost.net.pasta.missing_pasta", lambda: "")
    return DrivenNetworks()


LIMITED = NetworkLimits(upload=8_000_000)


@pytest.mark.parametrize(
    ("network", "traffic"),
    [(TenantNetwork(limits=LIMITED), Traffic()), (None, Traffic(limits=LIMITED))],
    ids=["of the tenant", "of the instance"],
)
def test_limits_that_nothing_holds_are_errors(
    networks: DrivenNetworks, network: TenantNetwork | None, traffic: Traffic
) -> None:
    with pytest.raises(LimitError, match="traffic can be limited by a daemon of root's only"):
        networks.prepare(record_of(make_definition(traffic=traffic)), make_tenant(network=network))


def test_calls_by_name_cannot_be_allowed(networks: DrivenNetworks) -> None:
    tenant = make_tenant(network=TenantNetwork(egress=(Egress(to="example.org"),)))

    with pytest.raises(NetworkError, match=r"calls to example\.org by its name"):
        networks.prepare(record_of(make_definition()), tenant)


def test_ports_and_traffic_change_with_the_next_start_alone(networks: DrivenNetworks) -> None:
    record = record_of(make_definition())
    changed = replace(record, definition=replace(record.definition, ports=(parse_port("18080:80"),)))
    networks.prepare(record, make_tenant())

    networks.redefine(record)
    with pytest.raises(Conflict, match="restart it"):
        networks.redefine(changed)
    networks.forget(record.id)
    networks.redefine(changed)
