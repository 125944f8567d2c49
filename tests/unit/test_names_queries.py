"""Whatever an instance sends: it is a question, it gets a short refusal, or it gets nothing."""

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kwhost.net.resolver.answers import Answer, Records
from kwhost.net.resolver.queries import PAYLOAD, QUERY_MAX, Query, read_query, write_answer
from tests.unit.hostile_messages import hostile_messages
from tests.unit.names_parts import TXT, A, name_of

QUESTION = dns.message.make_query("www.example.org", "A", use_edns=0, payload=4096).to_wire()


def read(message: dns.message.Message) -> Query:
    query = read_query(message.to_wire())
    assert isinstance(query, Query)
    return query


def texts(count: int) -> Answer:
    data = tuple(
        dns.rdata.from_text(dns.rdataclass.IN, TXT, f'"{number:03d}{"x" * 97}"') for number in range(count)
    )
    return Answer(records=(Records(name_of("www.example.org"), TXT, 60, data),), ttl=60)


def check(wire: bytes) -> None:
    query = read_query(wire)
    if isinstance(query, Query):
        query = write_answer(query, Answer(rcode=query.fault or dns.rcode.NXDOMAIN), query.room)
    if query is not None:
        assert len(query) <= max(512, PAYLOAD)
        answer = dns.message.from_wire(query)
        assert answer.id == int.from_bytes(wire[:2])
        assert answer.flags & dns.flags.QR


@given(st.binary(max_size=QUERY_MAX + 1))
def test_random_bytes_do_no_harm(wire: bytes) -> None:
    check(wire)


@given(st.binary(max_size=300))
@example(b"\xc0\x0c\x00\x01\x00\x01")  # a name that points at itself
@example(b"\x3f" + b"a" * 63 + b"\xc0\x0c\x00\x01\x00\x01")
def test_random_bytes_behind_an_honest_header_do_no_harm(body: bytes) -> None:
    check(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + body)


@given(hostile_messages())
def test_messages_whose_parts_contradict_each_other_do_no_harm(wire: bytes) -> None:
    check(wire)


@given(
    st.lists(st.tuples(st.integers(0, len(QUESTION) - 1), st.integers(0, 255)), max_size=8), st.integers(0)
)
def test_a_question_with_changed_bytes_does_no_harm(changes: list[tuple[int, int]], cut: int) -> None:
    wire = bytearray(QUESTION)
    for place, value in changes:
        wire[place] = value

    check(bytes(wire[: len(wire) - cut % 20]))


def test_a_question_is_read_in_lower_case() -> None:
    query = read(dns.message.make_query("WWW.Example.ORG", "AAAA"))

    assert (str(query.name), query.kind, query.fault) == ("www.example.org.", dns.rdatatype.AAAA, None)


@pytest.mark.parametrize(("payload", "room"), [(None, 512), (0, 512), (900, 900), (65_535, PAYLOAD)])
def test_the_room_for_an_answer_is_what_the_asker_says_within_bounds(payload: int | None, room: int) -> None:
    edns = {} if payload is None else {"use_edns": 0, "payload": payload}

    assert read(dns.message.make_query("a.b", "A", **edns)).room == room  # type: ignore[arg-type]


def test_an_answer_that_does_not_fit_says_so() -> None:
    query = read(dns.message.make_query("www.example.org", "TXT"))
    short = dns.message.from_wire(write_answer(query, texts(20), query.room))
    whole = dns.message.from_wire(write_answer(query, texts(20), 65_535))

    assert short.flags & dns.flags.TC
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == 20


def test_an_answer_repeats_the_question_as_it_was_written() -> None:
    asked = dns.message.make_query("wWw.eXample.org", "A")
    answer = dns.message.from_wire(write_answer(read(asked), Answer(), 512))

    assert answer.question[0].name.labels == asked.question[0].name.labels
    assert answer.flags & dns.flags.RA


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (dns.message.make_query("a.b", "ANY"), dns.rcode.NOTIMP),
        (dns.message.make_query("a.b", "AXFR"), dns.rcode.NOTIMP),
        (dns.message.make_query("version.bind", "TXT", "CH"), dns.rcode.REFUSED),
        (dns.message.make_query("a.b", "A", use_edns=1), dns.rcode.BADVERS),
    ],
)
def test_what_is_not_offered_is_refused(message: dns.message.Message, fault: dns.rcode.Rcode) -> None:
    assert read(message).fault == fault


@pytest.mark.parametrize(
    "wire",
    [
        dns.message.make_query("a." * 120, "A").to_wire(),
        QUESTION[:-11] + b"\1a\0\0\2\0\1\0\0\0\1\0\2\xc0\x0c",
        QUESTION[:11] + b"\2" + QUESTION[12:] + QUESTION[-11:],
    ],
    ids=["labels", "record", "records"],
)
def test_what_takes_long_to_read_is_not_read(wire: bytes) -> None:
    answer = read_query(wire)

    assert isinstance(answer, bytes)
    assert dns.message.from_wire(answer).rcode() == dns.rcode.FORMERR


def test_a_response_is_never_answered() -> None:
    assert read_query(dns.message.make_response(dns.message.make_query("a.b", "A")).to_wire()) is None


def test_updates_are_not_implemented() -> None:
    message = dns.message.make_query("a.b", "A")
    message.set_opcode(dns.opcode.NOTIFY)
    answer = read_query(message.to_wire())

    assert isinstance(answer, bytes)
    assert dns.message.from_wire(answer).rcode() == dns.rcode.NOTIMP


def test_what_others_composed_fits_after_it_was_cut() -> None:
    query = read(dns.message.make_query("www.example.org", "A", use_edns=0, payload=1232))

    assert query.kind == A
    assert len(write_answer(query, texts(400), query.room)) <= query.room
