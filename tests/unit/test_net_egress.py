"""Rules for calls become boxes that cover exactly what the rules say, and do not overlap."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.model.network import EgressRule, PortSpan, Prefix, Transport
from kwhost.net.egress import Box, disjoint, egress_keys, is_special

spans = st.tuples(st.integers(0, 7), st.integers(0, 7)).map(lambda pair: (min(pair), max(pair)))
boxes = st.lists(st.builds(Box, addresses=spans, transports=spans, ports=spans), max_size=5)
points = st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 7))
HOME, HOME6 = IPv4Address("10.88.1.2"), IPv6Address("fd00::2")


def covers(box: Box, point: tuple[int, int, int]) -> bool:
    return all(low <= value <= high for (low, high), value in zip(box, point, strict=True))


@given(boxes, points)
def test_a_point_is_in_one_box_if_it_was_in_any(given_boxes: list[Box], point: tuple[int, int, int]) -> None:
    inside = sum(covers(box, point) for box in disjoint(given_boxes))

    assert inside == any(covers(box, point) for box in given_boxes)


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/8",
        "169.254.169.254/32",
        "127.0.0.0/8",
        "224.0.0.0/4",
        "fd00::/8",
        "fe80::/10",
        "::ffff:0:0/96",
    ],
)
def test_private_local_and_metadata_addresses_are_special(text: str) -> None:
    assert is_special(ip_network(text))


@pytest.mark.parametrize("text", ["0.0.0.0/0", "8.8.8.8/32", "::/0", "2606:4700::/32", "8.0.0.0/6"])
def test_what_reaches_beyond_special_addresses_is_not_special(text: str) -> None:
    assert not is_special(ip_network(text))


def test_the_world_does_not_include_private_addresses() -> None:
    rules = [EgressRule(to=IPv4Network("0.0.0.0/0"))]

    assert list(egress_keys(HOME, rules, special=True)) == []
    assert list(egress_keys(HOME, rules, special=False)) == [("10.88.1.2", "0.0.0.0/0", "0-255", "0-65535")]


def test_ports_without_a_transport_are_those_of_tcp_and_udp() -> None:
    rules = [EgressRule(to=IPv6Network("2606:4700::/32"), ports=PortSpan(53, 53))]

    assert list(egress_keys(HOME6, rules, special=False)) == [
        ("fd00::2", "2606:4700::/32", "tcp", "53"),
        ("fd00::2", "2606:4700::/32", "udp", "53"),
    ]


@pytest.mark.parametrize(
    ("own", "prefix", "name"),
    [(HOME, IPv4Network("9.9.9.9"), "icmp"), (HOME6, IPv6Network("2606:4700::1"), "ipv6-icmp")],
)
def test_icmp_is_that_of_the_address_family(
    own: IPv4Address | IPv6Address, prefix: Prefix, name: str
) -> None:
    rules = [EgressRule(to=prefix, transport=Transport.ICMP)]

    assert [key[2] for key in egress_keys(own, rules, special=False)] == [name]
