"""Names and hardware addresses of links are valid, stable, and tell whose they are."""

from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.model.ids import InstanceId, InstanceName, TenantName
from kwhost.net.names import (
    LINK_NAME_MAX,
    LinkKind,
    Owner,
    bridge_mac,
    bridge_name,
    doomed_group,
    instance_mac,
    kind_of,
    link_group,
    mirror_name,
    owner_of,
    port_name,
)

tenants = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,30}\Z").map(TenantName)
instances = st.from_regex(r"\A[0-9a-f]{12}\Z").map(InstanceId)
owners = st.text(max_size=50).map(owner_of)


@given(owners, tenants, instances)
def test_names_fit_the_kernel_and_say_their_kind(
    owner: Owner, tenant: TenantName, instance: InstanceId
) -> None:
    bridge, tap = bridge_name(owner, tenant), port_name(LinkKind.TAP, instance)
    veth = port_name(LinkKind.VETH, instance)

    assert [kind_of(name) for name in (bridge, tap, veth)] == [LinkKind.BRIDGE, LinkKind.TAP, LinkKind.VETH]
    assert {kind_of(mirror_name(name)) for name in (bridge, tap, veth)} == {LinkKind.MIRROR}
    assert all(len(name) <= LINK_NAME_MAX for name in (bridge, tap, veth, mirror_name(bridge)))


@given(st.sets(st.tuples(owners, tenants), max_size=20))
def test_bridges_and_their_mirrors_have_names_of_their_own(pairs: set[tuple[Owner, TenantName]]) -> None:
    bridges = {bridge_name(owner, tenant) for owner, tenant in pairs}

    assert len(bridges | {mirror_name(bridge) for bridge in bridges}) == 2 * len(pairs)


@given(owners)
def test_the_groups_of_an_owner_are_two_and_never_everybodys(owner: Owner) -> None:
    kept, doomed = link_group(owner), doomed_group(owner)

    assert 0 < kept < doomed < 2**31


@given(owners, tenants, st.text(min_size=1, max_size=63))
def test_hardware_addresses_are_local_and_individual(owner: Owner, tenant: TenantName, name: str) -> None:
    for mac in (bridge_mac(owner, tenant), instance_mac(owner, tenant, InstanceName(name))):
        first = int(mac[:2], 16)
        assert (first & 1, first & 2) == (0, 2)
        assert len(bytes.fromhex(mac.replace(":", ""))) == 6


def test_other_names_are_nobodys() -> None:
    assert [kind_of(name) for name in ("eth0", "kwb12345", "kwx0123456789ab", "kwb0123456789abc")] == [
        None
    ] * 4
