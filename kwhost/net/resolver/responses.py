"""What others' resolvers send. Whoever owns a name chose what is in it, and may have made it to be slow.

dnspython reads whole messages, and takes seconds for some of a thousand bytes; so only what may answer the
question is read here, record by record, and no name of more labels than honest ones have.
"""

from typing import NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.wire

from kwhost.net.resolver.answers import Records, Response
from kwhost.net.resolver.queries import LABELS_MAX

__all__ = ["Reading", "read_response"]

_RECORDS_MAX = 256  # looked at, in one section
_KEPT_MAX = 48
_TTL_MAX = 0x7FFF_FFFF  # RFC 2181, 8: beyond it means none


class _Unreasonable(Exception):  # noqa: N818 - it states a fact
    """Nobody honest sends that."""


class Reading(NamedTuple):
    """`is_whole`: it came by TCP, or was not cut and repeats the question in its case; else it is empty."""

    response: Response
    is_whole: bool


def read_response(wire: bytes, query: dns.message.Message, *, by_tcp: bool = False) -> Reading | None:
    """The response, if it is one to the question."""
    try:
        return _read(dns.wire.Parser(wire), query, by_tcp=by_tcp)
    except _Unreasonable:
        return Reading(Response(dns.rcode.SERVFAIL), is_whole=True)
    except Exception:  # noqa: BLE001 - a response that the parser cannot take is none
        return None


def _read(parser: dns.wire.Parser, query: dns.message.Message, *, by_tcp: bool) -> Reading | None:
    number, flags, questions, answers, authorities, _ = parser.get_struct("!6H")
    is_response = flags & dns.flags.QR and dns.opcode.from_flags(flags) == dns.opcode.QUERY
    if number != query.id or not is_response or questions != 1:
        return None
    question, name = query.question[0], dns.name.from_wire_parser(parser)
    if name != question.name or parser.get_struct("!HH") != (question.rdtype, question.rdclass):
        return None
    if not by_tcp and (flags & dns.flags.TC or name.labels != question.name.labels):
        return Reading(Response(dns.rcode.SERVFAIL), is_whole=False)
    answer = _section(parser, answers, (question.rdtype, dns.rdatatype.CNAME))
    authority = _section(parser, authorities, (dns.rdatatype.SOA,))
    return Reading(Response(dns.rcode.Rcode(flags & 0xF), answer, authority), is_whole=True)


def _section(parser: dns.wire.Parser, count: int, kinds: tuple[int, ...]) -> tuple[Records, ...]:
    if count > _RECORDS_MAX:
        raise _Unreasonable
    kept: list[Records] = []
    for _ in range(count):
        name = dns.name.from_wire_parser(parser)
        kind, rdclass, ttl, size = parser.get_struct("!HHIH")
        if kind not in kinds or rdclass != dns.rdataclass.IN or len(kept) >= _KEPT_MAX:
            parser.get_bytes(size)
            continue
        with parser.restrict_to(size):
            data = dns.rdata.from_wire_parser(rdclass, kind, parser)
        _refuse_long_names(name, *(getattr(data, slot, None) for slot in data.__slots__))
        kept.append(Records(name.canonicalize(), data.rdtype, ttl if ttl <= _TTL_MAX else 0, (data,)))
    return tuple(kept)


def _refuse_long_names(*values: object) -> None:
    if any(isinstance(one, dns.name.Name) and len(one) > LABELS_MAX for one in values):
        raise _Unreasonable
