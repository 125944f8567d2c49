"""A tenant's own names are answered, and nobody else's are told or asked for."""

from ipaddress import ip_address

import dns.rcode
import dns.rdatatype
import dns.reversename
import pytest

from kwhost.net.resolver.local import LocalNames
from tests.unit.names_parts import AAAA, DB, MX, PTR, WEB1, WEB2, A, name_of, resident, told, zone

names = LocalNames(zone())


@pytest.mark.parametrize("name", ["db", "db.acme", "db.acme.kwhost"])
@pytest.mark.parametrize(("kind", "address"), [(A, DB[0]), (AAAA, DB[1])])
def test_an_instance_has_three_names_and_both_addresses(
    name: str, kind: dns.rdatatype.RdataType, address: object
) -> None:
    answer = names.answer(name_of(name), kind)

    assert told(answer) == [str(address)]
    assert answer is not None
    assert answer.authoritative


def test_replicas_are_all_told_and_take_turns_to_be_first() -> None:
    answers = [told(names.answer(name_of("web"), A)) for _ in range(4)]

    assert all(set(answer) == {str(WEB1[0]), str(WEB2[0])} for answer in answers)
    assert {answer[0] for answer in answers} == {str(WEB1[0]), str(WEB2[0])}


def test_an_unhealthy_replica_is_left_out_but_has_its_own_name() -> None:
    some = LocalNames(zone(resident("web-1", "web"), resident("web-2", "web", healthy=False)))

    assert told(some.answer(name_of("web"), A)) == [str(WEB1[0])]
    assert told(some.answer(name_of("web-2"), A)) == [str(WEB2[0])]


def test_a_service_without_a_healthy_replica_exists_and_has_no_address() -> None:
    none = LocalNames(zone(resident("web-1", "web", healthy=False)))
    answer = none.answer(name_of("web.acme.kwhost"), A)

    assert answer is not None
    assert (answer.rcode, answer.records) == (dns.rcode.NOERROR, ())
    assert answer.authority


@pytest.mark.parametrize("address", [*WEB1, *DB])
def test_addresses_lead_back_to_names(address: object) -> None:
    answer = names.answer(dns.reversename.from_address(str(address)), PTR)

    assert told(answer) == ["web-1.acme.kwhost." if address in WEB1 else "db.acme.kwhost."]


@pytest.mark.parametrize(
    "name",
    [
        "nobody",
        "db.globex.kwhost",
        "globex.kwhost",
        "a.b.c.kwhost",
        "x.db.acme.kwhost",
        "printer.local",
        "x.onion",
        "1.0.0.10.in-addr.arpa",
        "1.1.168.192.in-addr.arpa",
        "1.0.0.127.in-addr.arpa",
        "254.169.254.169.in-addr.arpa",
        "1.16.172.in-addr.arpa",
        "1.64.100.in-addr.arpa",
        str(dns.reversename.from_address("fd00::1")),
        str(dns.reversename.from_address("fe80::1")),
        str(dns.reversename.from_address("::1")),
    ],
)
def test_what_is_private_is_denied_and_nobody_is_asked(name: str) -> None:
    for kind in (A, PTR):
        answer = names.answer(name_of(name), kind)

        assert answer is not None
        assert answer.rcode == dns.rcode.NXDOMAIN
        assert [records.kind for records in answer.authority] == [dns.rdatatype.SOA]


@pytest.mark.parametrize("name", ["kwhost", "acme.kwhost", "acme", "10.in-addr.arpa"])
def test_a_name_above_names_exists(name: str) -> None:
    answer = names.answer(name_of(name), A)

    assert answer is not None
    assert (answer.rcode, answer.records) == (dns.rcode.NOERROR, ())


@pytest.mark.parametrize("name", ["example.org", "db.globex", "8.8.8.8.in-addr.arpa", "x.kwhost.org", "."])
def test_names_of_others_are_not_ours(name: str) -> None:
    assert names.answer(name_of(name), A) is None


def test_an_existing_name_without_such_records_is_no_error() -> None:
    answer = names.answer(name_of("db.acme.kwhost"), MX)

    assert answer is not None
    assert (answer.rcode, answer.records) == (dns.rcode.NOERROR, ())
    assert answer.authority


def test_localhost_is_the_asker_itself() -> None:
    assert told(names.answer(name_of("localhost"), A)) == ["127.0.0.1"]
    assert told(names.answer(name_of("x.localhost"), AAAA)) == ["::1"]


def test_an_instance_whose_name_is_no_host_name_hides_no_other() -> None:
    odd = LocalNames(zone(resident("a..b"), resident("db")))

    assert told(odd.answer(name_of("db"), A)) == [str(DB[0])]


def test_names_do_not_depend_on_case() -> None:
    upper = LocalNames(zone(resident("Web-1")))

    assert told(upper.answer(name_of("web-1.acme.kwhost"), A)) == [str(ip_address("10.0.0.9"))]
