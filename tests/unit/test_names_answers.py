"""Of what others answer, only what answers the question is kept; no name leads to private addresses."""

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.net.resolver.answers import Answer, clean_answer
from kwhost.net.resolver.cache import Cache
from kwhost.net.resolver.responses import Reading, read_response
from tests.unit.hostile_messages import hostile_messages
from tests.unit.names_parts import AAAA, A, name_of, told

NAME = "www.example.org"
SOA = "example.org 600 SOA ns.example.org. root.example.org. 1 2 3 4 50"


def response(*lines: str, authority: str = "", kind: str = "A", rcode: int = 0) -> dns.message.Message:
    made = dns.message.make_response(dns.message.make_query(NAME, kind))
    made.set_rcode(dns.rcode.Rcode(rcode))
    for part, texts in ((made.answer, lines), (made.authority, [authority] if authority else [])):
        for line in texts:
            owner, ttl, rdtype, data = line.split(None, 3)
            part.append(dns.rrset.from_text(f"{owner}.", int(ttl), "IN", rdtype, data))
    return made


def clean(made: dns.message.Message, *, private: bool = False, kind: dns.rdatatype.RdataType = A) -> Answer:
    query = dns.message.make_query(NAME, kind, id=made.id)
    reading = read_response(made.to_wire(), query)
    assert reading is not None
    return clean_answer(reading.response, name_of(NAME), kind, private=private)


def test_addresses_at_the_end_of_a_chain_are_kept() -> None:
    answer = clean(response(f"{NAME} 300 CNAME a.cdn.net.", "a.cdn.net 20 A 8.8.8.8", "a.cdn.net 20 TXT x"))

    assert told(answer) == ["a.cdn.net.", "8.8.8.8"]
    assert [str(one) for one in answer.addresses()] == ["8.8.8.8"]
    assert answer.ttl == 20


def test_records_of_other_names_are_left_out() -> None:
    answer = clean(response(f"{NAME} 60 A 8.8.8.8", "bank.example 60 A 9.9.9.9"))

    assert told(answer) == ["8.8.8.8"]


def test_a_chain_that_never_ends_is_no_answer() -> None:
    answer = clean(response(f"{NAME} 60 CNAME a.b.", f"a.b 60 CNAME {NAME}."))

    assert answer.addresses() == []


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1", "0.0.0.0"])
def test_special_addresses_are_told_only_where_that_is_allowed(address: str) -> None:
    made = response(f"{NAME} 60 A {address}", authority=SOA)

    assert told(clean(made)) == []
    assert clean(made).rcode == dns.rcode.NOERROR
    assert told(clean(made, private=True)) == [address]


def test_special_addresses_of_ipv6_are_left_out_from_among_others() -> None:
    made = response(f"{NAME} 60 AAAA ::1", f"{NAME} 60 AAAA ::ffff:10.0.0.1", kind="AAAA")
    mixed = response(f"{NAME} 60 AAAA 2606:4700::8", kind="AAAA")
    mixed.answer[0].add(made.answer[0][0])

    assert told(clean(made, kind=AAAA)) == []
    assert told(clean(mixed, kind=AAAA)) == ["2606:4700::8"]


def test_hints_of_addresses_are_left_out_of_other_records() -> None:
    made = response(f'{NAME} 60 HTTPS 1 . alpn="h2" ipv4hint="10.0.0.1" ipv6hint="fd00::1"', kind="HTTPS")

    (text,) = told(clean(made, kind=dns.rdatatype.HTTPS))
    assert "h2" in text
    assert "hint" not in text


def test_a_denial_holds_for_as_long_as_it_says() -> None:
    answer = clean(response(authority=SOA, rcode=3))

    assert (answer.rcode, answer.ttl) == (dns.rcode.NXDOMAIN, 50)
    assert [records.kind for records in answer.authority] == [dns.rdatatype.SOA]


def test_a_denial_of_somebody_else_is_left_out() -> None:
    answer = clean(response(authority=SOA.replace("example.org", "bank.example", 1), rcode=3))

    assert (answer.authority, answer.ttl) == ((), 0)


def test_a_long_time_to_live_is_cut() -> None:
    assert clean(response(f"{NAME} 999999 A 8.8.8.8")).ttl == 3600


def read(body: bytes, answers: int, authorities: int = 0) -> Reading | None:
    """A response to the question whose records are any bytes."""
    query = dns.message.make_query(NAME, "A", id=7)
    counts = answers.to_bytes(2) + authorities.to_bytes(2) + b"\0\0"
    return read_response(b"\0\7\x81\x80\0\1" + counts + query.to_wire()[12:] + body, query)


@given(st.binary(max_size=400), st.integers(0, 3), st.integers(0, 3))
def test_random_records_do_no_harm(body: bytes, answers: int, authorities: int) -> None:
    if reading := read(body, answers, authorities):
        clean_answer(reading.response, name_of(NAME), A, private=False)


@given(hostile_messages(), st.integers(0, 300), st.integers(0, 300))
def test_records_that_contradict_each_other_do_no_harm(
    message: bytes, answers: int, authorities: int
) -> None:
    if reading := read(message[12:], answers, authorities):
        clean_answer(reading.response, name_of(NAME), A, private=False)


def test_a_response_made_to_be_slow_is_none() -> None:
    """Names of 110 labels, each a reference to the first: dnspython would read it for seconds."""
    long = b"\1a" * 110 + b"\xc0\x0c"
    reference = (0xC000 | 12 + len(NAME) + 2 + 4).to_bytes(2)
    record = b"\0\5\0\1\0\0\0\1\0\2" + reference
    reading = read(long + record + (reference + record) * 255, 256)

    assert reading is not None
    assert (reading.response.rcode, reading.response.answer) == (dns.rcode.SERVFAIL, ())


def test_more_records_than_anybody_needs_are_none() -> None:
    reading = read(b"", 257)

    assert reading is not None
    assert reading.response.rcode == dns.rcode.SERVFAIL


def test_of_many_addresses_some_are_kept() -> None:
    made = response(f"{NAME} 60 A 8.8.8.0")
    for number in range(1, 200):
        made.answer[0].add(dns.rrset.from_text("x.", 60, "IN", "A", f"8.8.8.{number}")[0])

    assert 30 < len(told(clean(made))) < 100


def test_the_cache_gives_answers_until_their_time_is_over() -> None:
    cache, question = Cache(), (name_of(NAME), A)
    cache.put(question, clean(response(f"{NAME} 60 A 8.8.8.8")), 100)
    later = cache.get(question, 130)

    assert later is not None
    assert (later.ttl, later.records[0].ttl) == (30, 30)
    assert cache.get(question, 160) is None


def test_the_cache_is_bounded() -> None:
    cache = Cache()
    answer = clean(response(f"{NAME} 3600 A 8.8.8.8"))
    for number in range(5000):
        cache.put((name_of(f"{number}.example.org"), A), answer, 0)

    assert cache.get((name_of("0.example.org"), A), 1) is None
    assert cache.get((name_of("4999.example.org"), A), 1) is not None
    assert len(cache._entries) < 1000
