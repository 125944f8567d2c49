"""An instance that says that it is somebody else is not heard."""

import socket
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import pytest

from kwhost.net.names import Mac, bridge_mac, instance_mac
from kwhost.net.reasons import Reason
from kwhost.net.statistics import read_counts
from kwhost.net.wishes import Attachment
from tests.net.frames import (
    ARP,
    BROADCAST,
    IPV4,
    IPV6,
    arp_reply,
    ethernet,
    hears,
    ipv4_echo,
    ipv6_echo,
    neighbour_advert,
    packet_socket,
    router_advert,
)
from tests.net.probes import until
from tests.net.world import OWNER, World

pytestmark = [pytest.mark.net, pytest.mark.root]
VLAN = 0x8100


class Party(NamedTuple):
    """Somebody with addresses."""

    mac: Mac
    address4: IPv4Address
    address6: IPv6Address


def party(one: Attachment) -> Party:
    return Party(instance_mac(OWNER, one.tenant, one.name), one.address4, one.address6)


Forge = Callable[[Party, Party, Party], bytes]

FORGERIES: dict[str, tuple[Reason, Forge]] = {
    "another hardware address": (
        Reason.HARDWARE_ADDRESS,
        lambda me, you, third: ethernet(you.mac, third.mac, IPV4, ipv4_echo(me.address4, you.address4)),
    ),
    "an unknown hardware address": (
        Reason.HARDWARE_ADDRESS,
        lambda me, you, _: ethernet(
            you.mac, Mac("02:00:00:00:00:99"), IPV4, ipv4_echo(me.address4, you.address4)
        ),
    ),
    "another IPv4 address": (
        Reason.SOURCE_ADDRESS,
        lambda me, you, third: ethernet(you.mac, me.mac, IPV4, ipv4_echo(third.address4, you.address4)),
    ),
    "another IPv6 address": (
        Reason.SOURCE_ADDRESS,
        lambda me, you, third: ethernet(you.mac, me.mac, IPV6, ipv6_echo(third.address6, you.address6)),
    ),
    "ARP for another address": (
        Reason.FALSE_ARP,
        lambda me, you, third: ethernet(
            you.mac, me.mac, ARP, arp_reply(me.mac, third.address4, you.mac, you.address4)
        ),
    ),
    "ARP for another hardware address": (
        Reason.FALSE_ARP,
        lambda me, you, third: ethernet(
            you.mac, me.mac, ARP, arp_reply(third.mac, me.address4, you.mac, you.address4)
        ),
    ),
    "ARP for all to hear": (
        Reason.FALSE_ARP,
        lambda me, you, third: ethernet(
            BROADCAST, me.mac, ARP, arp_reply(me.mac, third.address4, you.mac, you.address4)
        ),
    ),
    "a neighbour's advertisement": (
        Reason.NEIGHBOUR_DISCOVERY,
        lambda me, you, third: ethernet(
            you.mac, me.mac, IPV6, neighbour_advert(me.address6, you.address6, third.address6, me.mac)
        ),
    ),
    "a router's advertisement": (
        Reason.NEIGHBOUR_DISCOVERY,
        lambda me, you, _: ethernet(you.mac, me.mac, IPV6, router_advert(me.address6, you.address6)),
    ),
    "another protocol": (
        Reason.FOREIGN_PROTOCOL,
        lambda me, you, _: ethernet(you.mac, me.mac, 0x88B5, b"hello"),
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.hw) if "IPv4" in name else name for name in FORGERIES]
)
def test_a_forged_frame_is_dropped_and_counted(world: World, name: str) -> None:
    me, you, third = (world.of(0, number) for number in range(3))
    reason, forge = FORGERIES[name]
    forged = forge(party(me), party(you), party(third))
    honest = ethernet(party(you).mac, party(me).mac, IPV4, ipv4_echo(me.address4, you.address4))

    with packet_socket(world.place(me)) as sender, packet_socket(world.place(you)) as listener:
        sender.send(forged)
        sender.send(honest)
        heard = hears(listener, forged, honest)

    assert heard == {1}
    counts = read_counts(world.host, world.wishes)
    assert counts[me.instance].refused[reason] == 1


@pytest.mark.hw
def test_the_gateway_cannot_be_impersonated(world: World) -> None:
    me, you = world.of(0, 0), world.of(0, 1)
    subnet = next(net.subnet for net in world.wishes.networks if net.tenant == me.tenant)
    gateway4 = subnet.net4[1]
    false = ethernet(BROADCAST, party(me).mac, ARP, arp_reply(party(me).mac, gateway4, BROADCAST, gateway4))
    stolen = ethernet(BROADCAST, bridge_mac(OWNER, me.tenant), IPV4, ipv4_echo(gateway4, you.address4))
    honest = ethernet(party(you).mac, party(me).mac, IPV4, ipv4_echo(me.address4, you.address4))

    with packet_socket(world.place(me)) as sender, packet_socket(world.place(you)) as listener:
        for frame in (false, stolen, honest):
            sender.send(frame)

        assert hears(listener, false, stolen, honest) == {2}


def test_an_instance_hears_nothing_that_is_said_to_another(world: World) -> None:
    me, you, third = (world.of(0, number) for number in range(3))
    private = ethernet(party(you).mac, party(me).mac, IPV4, ipv4_echo(me.address4, you.address4))
    unknown = ethernet(Mac("02:00:00:00:00:99"), party(me).mac, IPV4, ipv4_echo(me.address4, you.address4))
    public = ethernet(
        BROADCAST, party(me).mac, ARP, arp_reply(party(me).mac, me.address4, BROADCAST, me.address4)
    )

    with packet_socket(world.place(me)) as sender, packet_socket(world.place(third)) as listener:
        for frame in (private, unknown, public):
            sender.send(frame)

        assert hears(listener, private, unknown, public) == {2}


def test_isolation_cannot_be_walked_around_by_the_gateway(world: World) -> None:
    me, you = world.change(world.of(0, 0), isolated=True), world.of(0, 1)
    gateway = bridge_mac(OWNER, me.tenant)
    round_about = ethernet(gateway, party(me).mac, IPV4, ipv4_echo(me.address4, you.address4))

    with packet_socket(world.place(me)) as sender, packet_socket(world.place(you)) as listener:
        sender.send(round_about)
        until(lambda: Reason.ISOLATED in read_counts(world.host, world.wishes)[me.instance].refused)

        listener.setblocking(False)
        senders = [frame[26:30] for frame in iter(partial(_frame, listener), b"")]

    assert me.address4.packed not in senders


def _frame(listener: socket.socket) -> bytes:
    """What waits; nothing where nothing does."""
    try:
        return listener.recv(2048)
    except BlockingIOError:
        return b""
