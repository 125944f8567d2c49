"""Answers as values, and what is kept of those that others give."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple, cast

import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rdtypes.svcbbase
import dns.rrset

from kwhost.core.model.network import Address
from kwhost.net.egress import is_special

__all__ = ["FAILED", "REFUSED", "Answer", "Records", "Response", "clean_answer"]

_TTL_MAX = 3600
_NEGATIVE_TTL_MAX = 300
_FAILURE_TTL = 2
_CHAIN_MAX = 16
_ADDRESS_TYPES = (dns.rdatatype.A, dns.rdatatype.AAAA)
_SERVICE_TYPES = (dns.rdatatype.SVCB, dns.rdatatype.HTTPS)
_HINTS = (dns.rdtypes.svcbbase.ParamKey.IPV4HINT, dns.rdtypes.svcbbase.ParamKey.IPV6HINT)


class Records(NamedTuple):
    """Of one name and type. `ttl`: seconds."""

    name: dns.name.Name
    kind: dns.rdatatype.RdataType
    ttl: int
    data: tuple[dns.rdata.Rdata, ...]

    def rrset(self) -> dns.rrset.RRset:
        """As dnspython has it."""
        return dns.rrset.from_rdata_list(self.name, self.ttl, self.data)


class Response(NamedTuple):
    """What somebody else answered, one record each."""

    rcode: dns.rcode.Rcode
    answer: tuple[Records, ...] = ()
    authority: tuple[Records, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """To one question; for `ttl` seconds it may be given again."""

    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    records: tuple[Records, ...] = ()
    authority: tuple[Records, ...] = ()
    ttl: int = 0
    authoritative: bool = False

    def aged(self, seconds: float) -> "Answer":
        """As it is given later."""
        left = max(0, int(self.ttl - seconds))
        records, authority = (
            tuple(one._replace(ttl=left) for one in part) for part in (self.records, self.authority)
        )
        return replace(self, records=records, authority=authority, ttl=left)

    def addresses(self) -> list[Address]:
        """All that it tells."""
        return [_address(one) for part in self.records if part.kind in _ADDRESS_TYPES for one in part.data]


REFUSED = Answer(rcode=dns.rcode.REFUSED)
FAILED = Answer(rcode=dns.rcode.SERVFAIL, ttl=_FAILURE_TTL)


def clean_answer(
    response: Response, name: dns.name.Name, kind: dns.rdatatype.RdataType, *, private: bool
) -> Answer:
    """What answers the question, and nothing else of a response that others composed.

    Unless `private` it tells no special addresses: no name of others leads an instance to its neighbours.
    """
    if response.rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return FAILED
    found: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], list[Records]] = {}
    for one in response.answer:
        found.setdefault((one.name, one.kind), []).append(one)
    records: list[Records] = []
    for _ in range(_CHAIN_MAX):
        aliases = found.get((name, dns.rdatatype.CNAME))
        if aliases is None or kind == dns.rdatatype.CNAME:
            break
        records.append(aliases[0])
        name = _target(aliases[0].data[0])
    final = found.get((name, kind), [])
    if data := tuple(_allowed(kind, final, private=private)):
        records.append(Records(name, kind, min(one.ttl for one in final), data))
    complete = bool(data)
    authority = () if complete else _denial(response, name)
    limits = [one.ttl for one in (*records, *authority)]
    ttl = min((*limits, _TTL_MAX if complete else _NEGATIVE_TTL_MAX)) if limits else 0
    answer = Answer(
        rcode=dns.rcode.NOERROR if complete else response.rcode,
        records=tuple(records),
        authority=authority,
        ttl=ttl,
    )
    return answer.aged(0)


def _address(data: Any) -> Address:
    return ip_address(data.address)


def _target(data: Any) -> dns.name.Name:
    return cast("dns.name.Name", data.target.canonicalize())


def _allowed(
    kind: dns.rdatatype.RdataType, records: Iterable[Records], *, private: bool
) -> Iterator[dns.rdata.Rdata]:
    for one in (data for part in records for data in part.data):
        if kind in _SERVICE_TYPES:
            # Addresses are asked for by name: only then are they judged, and may be called.
            yield _without_hints(one)
        elif private or kind not in _ADDRESS_TYPES or not is_special(ip_network(_address(one))):
            yield one


def _without_hints(data: Any) -> dns.rdata.Rdata:
    params = {key: value for key, value in data.params.items() if key not in _HINTS}
    return data.replace(params=params)  # type: ignore[no-any-return]


def _denial(response: Response, name: dns.name.Name) -> tuple[Records, ...]:
    """Who says that there is nothing, and for how long (RFC 2308, 5)."""
    for one in response.authority:
        if one.kind == dns.rdatatype.SOA and name.is_subdomain(one.name):
            return (one._replace(ttl=min(one.ttl, _minimum(one.data[0]))),)
    return ()


def _minimum(data: Any) -> int:
    return int(data.minimum)
