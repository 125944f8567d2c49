"""Who reaches whom, measured by real connections."""

from dataclasses import replace
from ipaddress import IPv4Network
from itertools import permutations

import pytest

from kwhost.core.model.network import EgressRule, PortSpan, Transport
from kwhost.net.addresses import gateway
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.wishes import Attachment, HostService
from tests.net.namespaces import filter_bridged
from tests.net.probes import connected, is_cut_off, reaches
from tests.net.world import HOST4, HOST6, LOCAL4, LOCAL6, METADATA, OUTSIDE4, OUTSIDE6, WORLD, World

pytestmark = [pytest.mark.net, pytest.mark.root]
ALL = (Transport.TCP, Transport.UDP, Transport.ICMP)
HW_TCP = (pytest.param(Transport.TCP, marks=pytest.mark.hw), Transport.UDP, Transport.ICMP)


@pytest.mark.parametrize("transport", HW_TCP)
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("filtered", [True, False])
def test_instances_reach_those_of_their_tenant_and_no_others(
    world: World, transport: Transport, version: int, *, filtered: bool
) -> None:
    """Whether or not bridged packets pass the rules for routed ones too."""
    filter_bridged(world.namespace, on=filtered)

    def address(one: Attachment) -> str:
        return str(one.address4 if version == 4 else one.address6)

    for a, b in permutations(world.wishes.attachments, 2):
        right = reaches if a.tenant == b.tenant else is_cut_off
        assert right(world.place(a), world.place(b), address(b), transport), (a, b)


@pytest.mark.parametrize("transport", ALL)
@pytest.mark.parametrize("address", [OUTSIDE4, OUTSIDE6, LOCAL4, LOCAL6, METADATA])
def test_nobody_calls_outside_unless_allowed(world: World, transport: Transport, address: str) -> None:
    assert is_cut_off(world.place(world.of(0, 0)), world.outside, address, transport)


@pytest.mark.parametrize("transport", HW_TCP)
def test_who_may_call_the_world_reaches_public_addresses_only(world: World, transport: Transport) -> None:
    one = world.change(world.of(0, 0), egress=WORLD)

    assert all(
        reaches(world.place(one), world.outside, address, transport) for address in (OUTSIDE4, OUTSIDE6)
    )
    assert all(
        is_cut_off(world.place(one), world.outside, address, transport)
        for address in (LOCAL4, LOCAL6, METADATA)
    )
    assert is_cut_off(world.place(world.of(0, 1)), world.outside, OUTSIDE4, transport)


def test_a_private_address_is_reached_by_a_rule_that_names_it(world: World) -> None:
    one = world.change(world.of(0, 0), egress=(EgressRule(to=IPv4Network(f"{METADATA}/32")),))

    assert reaches(world.place(one), world.outside, METADATA, Transport.TCP)
    assert is_cut_off(world.place(one), world.outside, LOCAL4, Transport.TCP)


def test_a_rule_allows_its_ports_and_transport_only(world: World) -> None:
    allowed = EgressRule(
        to=IPv4Network(f"{OUTSIDE4}/32"), transport=Transport.TCP, ports=PortSpan(7000, 7001)
    )
    narrow = replace(allowed, ports=PortSpan(1, 6999))
    one = world.change(world.of(0, 0), egress=(allowed,))
    two = world.change(world.of(0, 1), egress=(narrow,))

    assert reaches(world.place(one), world.outside, OUTSIDE4, Transport.TCP)
    assert is_cut_off(world.place(one), world.outside, OUTSIDE4, Transport.UDP)
    assert is_cut_off(world.place(two), world.outside, OUTSIDE4, Transport.TCP)


def test_rules_that_overlap_all_count(world: World) -> None:
    rules = (
        EgressRule(to=IPv4Network("8.0.0.0/8"), ports=PortSpan(80, 90)),
        EgressRule(to=IPv4Network(f"{OUTSIDE4}/32")),
        EgressRule(to=IPv4Network("0.0.0.0/0"), transport=Transport.TCP, ports=PortSpan(85, 8000)),
    )

    one = world.change(world.of(0, 0), egress=rules)

    assert reaches(world.place(one), world.outside, OUTSIDE4, Transport.UDP)


@pytest.mark.parametrize("transport", HW_TCP)
def test_the_host_is_out_of_reach(world: World, transport: Transport) -> None:
    one = world.change(world.of(0, 0), egress=WORLD)
    nets = next(net.subnet for net in world.wishes.networks if net.tenant == one.tenant)

    for address in (HOST4, HOST6, *(str(gateway(net)) for net in nets)):
        assert is_cut_off(world.place(one), world.namespace, address, transport)


def test_a_service_of_the_host_is_reached_at_the_gateway_only(world: World) -> None:
    networks = tuple(
        replace(one, services=(HostService(Transport.UDP, 7000),)) for one in world.wishes.networks
    )
    world.apply(replace(world.wishes, networks=networks))
    place, own = world.place(world.of(0, 0)), gateway(networks[0].subnet.net4)

    assert reaches(place, world.namespace, str(own), Transport.UDP)
    assert is_cut_off(place, world.namespace, str(own), Transport.TCP)
    assert is_cut_off(place, world.namespace, HOST4, Transport.UDP)
    assert is_cut_off(place, world.namespace, str(gateway(networks[1].subnet.net4)), Transport.UDP)


def test_nobody_outside_calls_an_instance(world: World) -> None:
    one = world.of(0, 0)

    def route() -> None:
        with open_session() as session:
            session.route("add", dst=f"{one.address4}/32", gateway=HOST4)

    run_inside(world.outside, route)

    assert is_cut_off(world.outside, world.place(one), str(one.address4), Transport.TCP)


@pytest.mark.parametrize("transport", ALL)
@pytest.mark.parametrize("version", [4, 6])
def test_an_isolated_instance_sees_nobody(world: World, transport: Transport, version: int) -> None:
    alone = world.change(world.of(0, 0), isolated=True, egress=WORLD)
    other, third = world.of(0, 1), world.of(0, 2)
    mine, theirs = (str(one.address4 if version == 4 else one.address6) for one in (alone, other))

    assert is_cut_off(world.place(alone), world.place(other), theirs, transport)
    assert is_cut_off(world.place(other), world.place(alone), mine, transport)
    assert reaches(world.place(third), world.place(other), theirs, transport)
    assert reaches(world.place(alone), world.outside, OUTSIDE4 if version == 4 else OUTSIDE6, transport)


def test_the_outside_sees_the_host_and_not_the_instance(world: World) -> None:
    one = world.change(world.of(0, 0), egress=WORLD)

    with connected(world.place(one), world.outside, OUTSIDE4) as (_, called):
        assert called.getpeername()[0] == HOST4


def test_a_connection_outlives_new_rules_and_the_end_of_its_permission(world: World) -> None:
    one = world.change(world.of(0, 0), egress=WORLD)

    with connected(world.place(one), world.outside, OUTSIDE4) as (caller, called):
        world.host._known_rules.clear()  # as a daemon that was started again
        world.change(one, egress=())
        caller.send(b"still here")

        assert called.recv(100) == b"still here"
    assert is_cut_off(world.place(one), world.outside, OUTSIDE4, Transport.TCP)
