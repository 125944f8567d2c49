"""Questions as hostile instances send them, and the answers on the wire."""

import struct
from typing import Final, NamedTuple

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from kwhost.net.resolver.answers import Answer

__all__ = ["LABELS_MAX", "PAYLOAD", "QUERY_MAX", "Query", "read_query", "write_answer"]

# What passes in one packet everywhere (dnsflagday.net/2020).
PAYLOAD: Final = 1232
QUERY_MAX: Final = 1232
# dnspython's time goes with the square of it. The reverse of an IPv6 address has 34, and the root's.
LABELS_MAX: Final = 40
_LEAST_PAYLOAD = 512
_LABEL_MAX = 63
_OPT = b"\0\0\x29"  # the beginning of the only other record that a question may have
_HEADER = struct.Struct("!6H")
_META_TYPES = range(128, 256)


class Query(NamedTuple):
    """One question. `room` is how much a datagram with its answer may have.

    `fault` is the answer whatever the name is; None: there is nothing wrong with it.
    """

    message: dns.message.Message
    name: dns.name.Name
    kind: dns.rdatatype.RdataType
    room: int
    fault: dns.rcode.Rcode | None


def read_query(wire: bytes) -> Query | bytes | None:
    """A question, or the answer to something that is none, or None for what gets no answer."""
    if not _HEADER.size <= len(wire) <= QUERY_MAX:
        return None
    number, flags, *counts = _HEADER.unpack_from(wire)
    if flags & dns.flags.QR:
        return None
    if dns.opcode.from_flags(flags) != dns.opcode.QUERY:
        return _bare(number, flags, dns.rcode.NOTIMP)
    try:
        _refuse_slow(wire, counts)
        message = dns.message.from_wire(wire)
    except Exception:  # noqa: BLE001 - whatever a hostile message does to the parser, it is no question
        return _bare(number, flags, dns.rcode.FORMERR)
    question = message.question[0]
    room = min(max(message.payload, _LEAST_PAYLOAD), PAYLOAD) if message.edns >= 0 else _LEAST_PAYLOAD
    return Query(message, question.name.canonicalize(), question.rdtype, room, _fault(message, question))


def _refuse_slow(wire: bytes, counts: list[int]) -> None:
    """Raise an error for all but one question, with few labels, and what extends DNS (EDNS)."""
    questions, answers, authorities, others = counts
    place = _HEADER.size
    for _ in range(LABELS_MAX):
        size = wire[place]
        place += size + 1
        if not 0 < size <= _LABEL_MAX:
            break
    ends = size == 0 and (questions, answers, authorities) == (1, 0, 0)
    has_edns = others == 1 and wire.startswith(_OPT, place + 4)  # behind the type and the class
    if not ends or not (others == 0 or has_edns):
        raise ValueError("it is no question")


def _bare(number: int, flags: int, rcode: dns.rcode.Rcode) -> bytes:
    """An answer without the question."""
    kept = flags & (dns.flags.RD | 0x7800)
    return _HEADER.pack(number, kept | dns.flags.QR | dns.flags.RA | rcode, 0, 0, 0, 0)


def _fault(message: dns.message.Message, question: dns.rrset.RRset) -> dns.rcode.Rcode | None:
    if message.edns > 0:
        return dns.rcode.BADVERS
    if question.rdclass != dns.rdataclass.IN:
        return dns.rcode.REFUSED
    if question.rdtype in _META_TYPES or question.rdtype in (dns.rdatatype.OPT, dns.rdatatype.NONE):
        return dns.rcode.NOTIMP
    return None


def write_answer(query: Query, answer: Answer, room: int) -> bytes:
    """At most `room` bytes: what does not fit is left out, and the answer says so (TC)."""
    response = dns.message.make_response(query.message, recursion_available=True, our_payload=PAYLOAD)
    if answer.authoritative:
        response.flags |= dns.flags.AA
    response.set_rcode(answer.rcode)
    response.answer = [records.rrset() for records in answer.records]
    response.authority = [records.rrset() for records in answer.authority]
    # Not shuffled: replicas come in turns.
    return response.to_wire(max_size=room, prefer_truncation=True, want_shuffle=False)
