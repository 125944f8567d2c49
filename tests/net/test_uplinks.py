"""Where a tenant's network goes on behind an interface: its own packets pass, and nothing else."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any

import pytest

from kwhost.core.errors import NetworkError
from kwhost.core.model.network import EgressRule, Transport
from kwhost.net.addresses import gateway
from kwhost.net.applying import apply_steps
from kwhost.net.host import HostNetwork
from kwhost.net.listing import Tally, read_tables
from kwhost.net.names import Mac, link_group, table_name
from kwhost.net.namespaces import run_inside
from kwhost.net.netlink import open_session
from kwhost.net.nft import Nft
from kwhost.net.reasons import Reason
from kwhost.net.state import TableSet
from kwhost.net.wishes import Attachment, Namespace, Uplink, Wishes
from tests.net.frames import ethernet, ipv4_echo, packet_socket
from tests.net.namespaces import join, new_namespace, set_address, write_setting
from tests.net.probes import SILENCE, connected, is_cut_off, reaches, readable, until
from tests.net.world import HOST4, OUTSIDE4, OWNER, WORLD, World
from tests.patience import SECONDS

pytestmark = [pytest.mark.net, pytest.mark.root]
ALL = (Transport.TCP, Transport.UDP, Transport.ICMP)
NAME, MAC = "across0", Mac("02:00:00:00:00:77")
THERE4, THERE6 = "10.200.1.9", "fd00:200::9"
BEYOND = IPv4Network("10.200.1.0/24"), IPv6Network("fd00:200::/64")
UPLINK = Uplink(interface=NAME, subnets=BEYOND, mtu=1400)
_NO_ARP = 0x80


def be_plugin(namespace: Namespace, beyond: Namespace) -> None:
    """Make the interface: a pair that carries packets to whoever is at the other end, as a tunnel does."""
    join(namespace, NAME, beyond, NAME)
    for place in (namespace, beyond):
        with_session(
            place,
            lambda s: s.link("set", index=index(s, NAME), address=MAC, flags=_NO_ARP, change=_NO_ARP),
        )
    set_address(beyond, NAME, f"{THERE4}/24", f"{THERE6}/64")

    def route(session: Any) -> None:
        for everything in ("0.0.0.0/0", "::/0"):
            session.route("add", dst=everything, oif=index(session, NAME))

    with_session(beyond, route)


def with_session(namespace: Namespace, action: Callable[[Any], Any]) -> None:
    def act() -> None:
        with open_session() as session:
            action(session)

    run_inside(namespace, act)


def index(session: Any, name: str) -> int:
    return int(session.link_lookup(ifname=name)[0])


@dataclass(slots=True)
class Across:
    """`wishes` are those of the world, with an uplink of its first tenant; not applied yet."""

    world: World
    beyond: Namespace
    wishes: Wishes

    def refused(self) -> int:
        """Packets refused at the uplink."""
        listing = run_inside(self.world.namespace, lambda: read_tables(Nft(), OWNER))
        tallies = listing.tallies.get(TableSet("inet", "refused"), {})
        return tallies.get((NAME, str(Reason.UPLINK.value)), Tally(0, 0)).packets


def with_uplinks(world: World, *uplinks: Uplink) -> Wishes:
    mine, *others = world.wishes.networks
    return replace(world.wishes, networks=(replace(mine, uplinks=uplinks), *others))


@pytest.fixture
def bare_across(bare_world: World) -> Iterator[Across]:
    with new_namespace() as beyond:
        be_plugin(bare_world.namespace, beyond)
        yield Across(bare_world, beyond, with_uplinks(bare_world, UPLINK))


@pytest.fixture
def across(bare_across: Across) -> Across:
    bare_across.world.apply(bare_across.wishes)
    return bare_across


def addresses(one: Attachment) -> tuple[str, str]:
    return str(one.address4), str(one.address6)


@pytest.mark.parametrize("transport", ALL)
def test_a_tenant_reaches_what_is_beyond_and_is_reached_from_there(
    across: Across, transport: Transport
) -> None:
    one = across.world.of(0, 0)
    place = across.world.place(one)

    assert [reaches(place, across.beyond, there, transport) for there in (THERE4, THERE6)] == [True, True]
    assert [reaches(across.beyond, place, here, transport) for here in addresses(one)] == [True, True]


@pytest.mark.parametrize("transport", ALL)
def test_another_tenant_does_not_whatever_it_may_call(across: Across, transport: Transport) -> None:
    inside = tuple(EgressRule(to=subnet) for subnet in BEYOND)
    other = across.world.change(across.world.of(1, 0), egress=(*WORLD, *inside))
    place = across.world.place(other)

    assert all(is_cut_off(place, across.beyond, there, transport) for there in (THERE4, THERE6))
    assert all(is_cut_off(across.beyond, place, here, transport) for here in addresses(other))


def test_an_isolated_instance_has_no_part_in_it(across: Across) -> None:
    alone = across.world.change(across.world.of(0, 0), isolated=True, egress=WORLD)
    place = across.world.place(alone)

    for transport in ALL:
        assert all(is_cut_off(place, across.beyond, there, transport) for there in (THERE4, THERE6))
        assert all(is_cut_off(across.beyond, place, here, transport) for here in addresses(alone))


@pytest.mark.parametrize("transport", ALL)
def test_the_host_has_no_part_in_it(across: Across, transport: Transport) -> None:
    host, subnet = across.world.namespace, across.world.wishes.networks[0].subnet

    for here in (HOST4, *(str(gateway(net)) for net in subnet)):
        assert is_cut_off(across.beyond, host, here, transport)
    assert all(is_cut_off(host, across.beyond, there, transport) for there in (THERE4, THERE6))


def test_what_is_beyond_sees_the_instance_itself(across: Across) -> None:
    one = across.world.of(0, 0)

    with connected(across.world.place(one), across.beyond, THERE4) as (_, called):
        assert called.getpeername()[0] == str(one.address4)


def heard_sources(listener: socket.socket, last: IPv4Address) -> set[IPv4Address]:
    """The sources of what arrives until there is something from `last`."""
    sources: set[IPv4Address] = set()
    while last not in sources:
        assert readable(listener), f"nothing arrives from {last}"
        frame = listener.recv(2048)
        if frame[12:14] == b"\x08\x00":
            sources.add(IPv4Address(frame[26:30]))
    return sources


@pytest.mark.hw
def test_a_false_source_from_beyond_is_dropped_and_counted(across: Across) -> None:
    """A neighbour, the gateway, another tenant's instance, somebody of the world."""
    one, honest = across.world.of(0, 0), IPv4Address(THERE4)
    subnet = across.world.wishes.networks[0].subnet
    neighbour, stranger = across.world.of(0, 1).address4, across.world.of(1, 0).address4
    false = {neighbour, IPv4Address(int(gateway(subnet.net4))), stranger, IPv4Address("8.8.8.8")}

    with packet_socket(across.beyond, NAME) as sender, packet_socket(across.world.place(one)) as listener:
        for source in (*false, honest):
            sender.send(ethernet(MAC, MAC, 0x0800, ipv4_echo(source, one.address4)))
        heard = heard_sources(listener, honest)

    assert false.isdisjoint(heard)
    assert across.refused() == len(false)


def test_a_false_source_does_not_leave(across: Across) -> None:
    """Somebody of the local network, who sends to what is beyond by way of this host."""
    with_session(across.world.outside, lambda s: s.route("add", dst=str(BEYOND[0]), gateway=HOST4))

    assert is_cut_off(across.world.outside, across.beyond, THERE4, Transport.UDP)


def test_large_packets_pass_as_the_uplink_lets_them(across: Across) -> None:
    one = across.world.of(0, 0)

    with connected(across.world.place(one), across.beyond, THERE4) as (caller, called):
        called.settimeout(SECONDS)
        caller.sendall(bytes(60_000))
        received = 0
        while received < 60_000:
            received += len(called.recv(65_536))


def test_a_second_reconcile_finds_nothing_to_do(across: Across) -> None:
    assert across.world.host.steps(across.wishes) == ()
    assert HostNetwork(OWNER, across.world.namespace).reconcile(across.wishes) == {}
    assert across.world.host.steps(across.wishes) == ()


def test_what_nobody_wants_is_down_and_without_routes(across: Across) -> None:
    world = across.world
    world.apply(with_uplinks(world))

    def look() -> tuple[bool, int]:
        with open_session() as session:
            (link,) = session.link("get", ifname=NAME)
            return bool(link["flags"] & 1), len(session.get_routes(family=2, oif=link["index"]))

    assert run_inside(world.namespace, look) == (False, 0)
    assert world.host.steps(world.wishes) == ()


def test_a_kill_between_any_two_steps_is_repaired(bare_across: Across) -> None:
    world, wanted = bare_across.world, bare_across.wishes
    without = with_uplinks(world)
    world.apply(without)

    for start, goal in ((without, wanted), (wanted, without)):
        HostNetwork(OWNER, world.namespace).reconcile(start)
        steps = HostNetwork(OWNER, world.namespace).steps(goal)
        assert steps
        for count in range(len(steps)):
            done = run_inside(
                world.namespace, partial(lambda part: apply_steps(Nft(), OWNER, part), steps[:count])
            )
            assert done == {}
            restarted = HostNetwork(OWNER, world.namespace)
            assert restarted.reconcile(goal) == {}
            assert restarted.steps(goal) == (), f"after {steps[count]}"
            HostNetwork(OWNER, world.namespace).reconcile(start)


def _damages() -> dict[str, Callable[[Any], Any]]:
    table = table_name(OWNER)
    forwarding = f"/proc/sys/net/ipv4/conf/{NAME}/forwarding"

    def forget(_: Any) -> None:
        with open(forwarding, "w") as file:
            file.write("0")

    return {
        "its state": lambda s: s.link("set", index=index(s, NAME), state="down"),
        "a route": lambda s: s.route(
            "del", dst=str(BEYOND[0]), oif=index(s, NAME), priority=link_group(OWNER)
        ),
        "a setting": forget,
        "what may pass": lambda _: Nft().run(f"flush set inet {table} across6"),
        "its mark": lambda _: Nft().run(f"flush set inet {table} uplinks"),
    }


def test_what_is_removed_or_changed_by_hand_is_put_back(across: Across) -> None:
    world = across.world
    for name, action in _damages().items():
        with_session(world.namespace, action)
        assert world.host.steps(across.wishes), f"the loss of {name} is not seen"
        assert world.host.reconcile(across.wishes) == {}, name
        assert world.host.steps(across.wishes) == (), name


def test_an_interface_that_is_gone_is_an_error_and_its_return_a_repair(across: Across) -> None:
    world, one = across.world, across.world.of(0, 0)
    with_session(world.namespace, lambda s: s.link("del", ifname=NAME))

    failures = world.host.reconcile(across.wishes)
    assert [str(error) for error in failures.values()] == [
        f"cannot bring up the uplink {NAME}: No such device"
    ]
    other = world.of(0, 1)
    assert reaches(world.place(one), world.place(other), str(other.address4), Transport.TCP)

    be_plugin(world.namespace, across.beyond)
    assert world.host.change(across.wishes) == {}
    assert reaches(world.place(one), across.beyond, THERE4, Transport.TCP)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"interface": "uplink"}, "cannot have the uplink uplink: it has an address of this host, in "),
        ({"subnets": (IPv4Network("192.168.0.0/16"),)}, "uplink has 192.168.7.0/24, which overlaps"),
    ],
)
def test_an_uplink_that_takes_something_from_the_host_is_an_error_and_left_out(
    bare_across: Across, changes: dict[str, Any], message: str
) -> None:
    """The interface `uplink`, with its address, leads to the outside: the host would be cut off."""
    world, right = bare_across.world, replace(UPLINK, subnets=BEYOND[:1])
    elsewhere = {"interface": "across1", "subnets": (IPv4Network("10.201.0.0/24"),)}
    wrong = replace(UPLINK, **{**elsewhere, **changes})
    wishes = with_uplinks(world, wrong, right)

    for attempt in (world.host.reconcile, world.host.change):
        (failure,) = attempt(wishes).values()
        assert message in str(failure)

    assert reaches(world.place(world.of(0, 0)), bare_across.beyond, THERE4, Transport.TCP)
    assert reaches(world.namespace, world.outside, OUTSIDE4, Transport.TCP)
    assert world.host.steps(wishes) == ()


def test_without_forwarding_of_ipv6_it_is_an_error_that_says_what_to_do(bare_across: Across) -> None:
    world, only4 = bare_across.world, replace(UPLINK, subnets=BEYOND[:1])
    for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        write_setting(world.namespace, setting, "0")

    with pytest.raises(NetworkError, match=r"its uplinks.*run sysctl net\.ipv6\.conf\.all\.forwarding=1"):
        world.host.reconcile(bare_across.wishes)

    world.apply(with_uplinks(world, only4))
    until(lambda: reaches(world.place(world.of(0, 0)), bare_across.beyond, THERE4, Transport.TCP, SILENCE))
