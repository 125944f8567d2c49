"""Tenants and instances keep their addresses as far as they are free, and never share one."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.errors import Conflict, UsageError
from kwhost.core.model.ids import InstanceName, TenantName
from kwhost.net.addresses import Pool, Subnet, Used, assign_addresses, assign_subnets, gateway, link_local
from kwhost.net.names import Mac

SMALL = Pool(net4=IPv4Network("10.0.0.0/24"), length4=28)
tenants = st.sets(st.from_regex(r"\A[a-z]{1,4}\Z").map(TenantName), max_size=SMALL.size)
instances = st.sets(st.from_regex(r"\A[a-z]{1,4}\Z").map(InstanceName), max_size=13)
ACME, GLOBEX = TenantName("acme"), TenantName("globex")
SUBNET = SMALL.subnet(0)
WEB, DB = InstanceName("web"), InstanceName("db")


@given(tenants)
def test_subnets_lie_in_the_pool_and_apart(names: set[TenantName]) -> None:
    subnets = assign_subnets(SMALL, names)

    assert subnets.keys() == names
    assert len(set(subnets.values())) == len(names)
    assert all(one.net4.subnet_of(SMALL.net4) and one.net6.subnet_of(SMALL.net6) for one in subnets.values())


@given(tenants, tenants)
def test_a_tenant_keeps_its_subnet_whoever_comes(first: set[TenantName], second: set[TenantName]) -> None:
    before = assign_subnets(SMALL, first)
    room = set(sorted(second - first)[: SMALL.size - len(first)])

    after = assign_subnets(SMALL, first | room, kept=before)

    assert before.items() <= after.items()


def test_a_tenant_gets_the_same_subnet_again() -> None:
    assert assign_subnets(Pool(), [ACME]) == assign_subnets(Pool(), [ACME])


@given(instances)
def test_instances_have_addresses_of_their_own(names: set[InstanceName]) -> None:
    addresses = assign_addresses(SUBNET, names)

    assert addresses.keys() == names
    assert len({one for pair in addresses.values() for one in pair}) == 2 * len(names)
    for address4, address6 in addresses.values():
        assert address4 in SUBNET.net4
        assert address6 in SUBNET.net6
        assert address4 not in (gateway(SUBNET.net4), SUBNET.net4[0], SUBNET.net4[-1])


def test_subnets_keep_away_from_what_the_host_uses() -> None:
    natural = assign_subnets(SMALL, [ACME])[ACME]

    moved = assign_subnets(SMALL, [ACME], used=[Used(natural.net4, "eth0")])[ACME]

    assert not moved.net4.overlaps(natural.net4)


def test_a_chosen_subnet_that_the_host_uses_is_an_error_that_names_both() -> None:
    with pytest.raises(Conflict, match=r"tenant acme cannot have 10\.0\.0\.0/28: eth0 has 10\.0\.0\.0/8"):
        assign_subnets(SMALL, [], kept={ACME: SUBNET}, used=[Used(IPv4Network("10.0.0.0/8"), "eth0")])


def test_two_tenants_with_one_subnet_are_an_error_that_names_both() -> None:
    with pytest.raises(Conflict, match=r"tenant globex cannot have .*: tenant acme has 10\.0\.0\.0/28"):
        assign_subnets(SMALL, [], kept={ACME: SUBNET, GLOBEX: SUBNET})


def test_an_address_of_two_instances_is_an_error_that_names_both() -> None:
    address = IPv4Address("10.0.0.5")

    with pytest.raises(Conflict, match=r"instance web cannot have 10\.0\.0\.5: instance db has it"):
        assign_addresses(SUBNET, [], kept={DB: address, WEB: address})


def test_the_gateway_is_no_instances() -> None:
    with pytest.raises(Conflict, match="the gateway has it"):
        assign_addresses(SUBNET, [], kept={WEB: IPv4Address("10.0.0.1")})


def test_a_full_pool_is_an_error_that_says_what_to_do() -> None:
    names = [TenantName(f"t{number}") for number in range(SMALL.size + 1)]

    with pytest.raises(Conflict, match=r"no subnet is left for tenant t.*configure a larger subnet_pool"):
        assign_subnets(SMALL, names)


def test_a_full_subnet_is_an_error() -> None:
    names = [InstanceName(f"i{number}") for number in range(14)]

    with pytest.raises(Conflict, match="no address is left for instance"):
        assign_addresses(SUBNET, names)


def test_a_pool_of_public_addresses_is_refused() -> None:
    with pytest.raises(UsageError, match="is no pool"):
        Pool(net6=IPv6Network("2001:db8::/48"))


def test_link_local_addresses_are_those_that_interfaces_give_themselves() -> None:
    assert str(link_local(Mac("02:00:5e:10:00:01"))) == "fe80::5eff:fe10:1"


def test_a_subnet_knows_which_part_overlaps() -> None:
    subnet = Subnet(IPv4Network("10.0.0.0/28"), IPv6Network("fd00::/64"))

    assert subnet.overlap(IPv6Network("fd00::/48")) == subnet.net6
    assert subnet.overlap(IPv4Network("10.1.0.0/16")) is None
