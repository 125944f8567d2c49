"""Zones and questions that tests of names begin with."""

from ipaddress import IPv4Address, IPv6Address

import dns.message
import dns.name
import dns.rdatatype

from kwhost.core.model.ids import InstanceName
from kwhost.core.model.network import NameRule
from kwhost.net.addresses import assign_addresses
from kwhost.net.resolver.answers import Answer
from kwhost.net.zones import Resident, Zone
from tests.unit.net_parts import ACME, SUBNETS

A, AAAA, PTR, MX, TXT = (dns.rdatatype.from_text(text) for text in "A AAAA PTR MX TXT".split())
NAMES = tuple(InstanceName(name) for name in ("web-1", "web-2", "db"))
ADDRESSES = assign_addresses(SUBNETS[ACME], NAMES)
WEB1, WEB2, DB = (ADDRESSES[name] for name in NAMES)


def resident(name: str, *services: str, healthy: bool = True, egress: tuple[NameRule, ...] = ()) -> Resident:
    address4, address6 = ADDRESSES.get(InstanceName(name), (IPv4Address("10.0.0.9"), IPv6Address("fd00::9")))
    return Resident(
        name=InstanceName(name),
        services=services,
        address4=address4,
        address6=address6,
        healthy=healthy,
        egress=egress,
    )


def zone(*residents: Resident, forwards: bool = False, private_answers: bool = False) -> Zone:
    return Zone(
        tenant=ACME,
        subnet=SUBNETS[ACME],
        residents=residents or (resident("web-1", "web"), resident("web-2", "web"), resident("db")),
        forwards=forwards,
        private_answers=private_answers,
    )


def name_of(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


def told(answer: Answer | None) -> list[str]:
    """What an answer says, as text."""
    assert answer is not None
    return [str(one) for records in answer.records for one in records.data]
