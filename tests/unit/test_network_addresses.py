"""Which addresses the daemon gives, whatever others on the host have."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from kwhost.core.daemon.network_addresses import Addresses
from kwhost.core.errors import Conflict
from kwhost.core.model.ids import TenantName, new_instance_id
from kwhost.core.model.network import InstanceAddresses
from kwhost.core.model.status import InstanceState
from kwhost.core.model.tenant import Tenant
from kwhost.core.store.records import InstanceRecord
from kwhost.net.addresses import Used
from kwhost.net.names import owner_of
from kwhost.testing import make_definition, make_tenant

POOL = (IPv4Network("10.50.0.0/23"),)  # two subnets
FIRST, SECOND = "10.50.0.0/24", "10.50.1.0/24"
OWNER = owner_of("/tests")


class FakeHost:
    """Where others have these addresses."""

    used_by_others: frozenset[Used] = frozenset()

    def __init__(self, _owner: object) -> None:
        pass

    def used(self) -> frozenset[Used]:
        return self.used_by_others


@pytest.fixture(autouse=True)
def _others_have_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kwhost.core.daemon.network_addresses.HostNetwork", FakeHost)
    monkeypatch.setattr(FakeHost, "used_by_others", frozenset())


def others_have(monkeypatch: pytest.MonkeyPatch, network: str, by: str = "eth0") -> None:
    monkeypatch.setattr(FakeHost, "used_by_others", frozenset({Used(IPv4Network(network), by)}))


def record_of(tenant: Tenant, subnet: str = "") -> InstanceRecord:
    definition = replace(make_definition(), tenant=tenant.name)
    addresses = InstanceAddresses(
        address4=subnet.replace("0/24", "7"),
        address6="fd00::7",
        subnet4=subnet,
        subnet6="fd00::/64",
        mac="02:00:00:00:00:01",
    )
    return InstanceRecord(
        id=new_instance_id(),
        tenant=tenant.name,
        name=definition.name,
        definition=definition,
        state=InstanceState.EXITED,
        desired="stopped",
        created=0.0,
        addresses=addresses if subnet else None,
    )


async def planned(tenant: Tenant, *records: InstanceRecord) -> str:
    made = Addresses(OWNER, POOL, lambda: records)
    return (await made.plan(record_of(tenant), tenant, frozenset())).subnet4


@pytest.mark.parametrize(("taken", "left"), [("10.50.0.64/30", SECOND), ("10.50.1.9/32", FIRST)])
async def test_a_subnet_with_an_address_of_others_is_left_out(
    monkeypatch: pytest.MonkeyPatch, taken: str, left: str
) -> None:
    others_have(monkeypatch, taken)

    assert await planned(make_tenant()) == left


async def test_a_pool_that_others_have_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others_have(monkeypatch, "10.50.0.0/16")

    with pytest.raises(Conflict, match=r"no subnet is left for tenant acme in 10\.50\.0\.0/23.*subnet_pool"):
        await planned(make_tenant())


@pytest.mark.parametrize("subnet", [FIRST, SECOND])
async def test_what_another_tenant_cannot_have_any_more_keeps_nobody_from_the_rest(
    monkeypatch: pytest.MonkeyPatch, subnet: str
) -> None:
    """Its instances had addresses in a subnet in which the host has one now."""
    globex = make_tenant(name=TenantName("globex"))
    others_have(monkeypatch, subnet)

    assert await planned(make_tenant(), record_of(globex, subnet)) in {FIRST, SECOND} - {subnet}
