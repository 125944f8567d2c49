"""Zones come through as they were sent, and what is none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.model.network import NameRule, PortSpan, Transport
from kwhost.net.resolving import resolver_configuration
from kwhost.net.zones import Upstream, Zones, decode_zones, encode_zones, gateways
from tests.unit.names_parts import resident, zone
from tests.unit.net_parts import ACME, OWNER, SUBNETS

RULES = (NameRule(to="*.a.org", transport=Transport.TCP, ports=PortSpan(1, 2)), NameRule(to="b.org"))


def test_zones_come_through() -> None:
    sent = Zones(
        owner=OWNER,
        zones=(zone(resident("web-1", "web", healthy=False, egress=RULES), forwards=True),),
        upstreams=(Upstream("9.9.9.9"), Upstream("fe80::1%lo", 5353)),
    )

    assert decode_zones(encode_zones(sent)) == sent


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_zones(data)


def test_instances_ask_at_their_gateways_and_search_in_their_tenant() -> None:
    address4, address6 = gateways(zone())

    assert resolver_configuration(ACME, SUBNETS[ACME]) == (
        f"nameserver {address4}\nnameserver {address6}\nsearch acme.kwhost\noptions edns0\n"
    )
