"""Answers as values, and what is kept of those that others give."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.svcbbase
import dns.rrset

from kwhost.core.model.network import Address
from kwhost.net.egress import is_special

__all__ = ["FAILED", "REFUSED", "Answer", "Records", "clean_answer"]

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
    response: dns.message.Message,
    name: dns.name.Name,
    kind: dns.rdatatype.RdataType,
    *,
    private: bool,
) -> Answer:
    """What answers the question, and nothing else of a response that others composed.

    Unless `private` it tells no special addresses: no name of others leads an instance to its neighbours.
    """
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return FAILED
    found = {
        (one.name.canonicalize(), one.rdtype): one
        for one in response.answer
        if one.rdclass == dns.rdataclass.IN
    }
    records: list[Records] = []
    for _ in range(_CHAIN_MAX):
        alias = found.get((name, dns.rdatatype.CNAME))
        if alias is None or kind == dns.rdatatype.CNAME:
            break
        records.append(Records(name, alias.rdtype, alias.ttl, (alias[0],)))
        name = alias[0].target.canonicalize()
    if final := found.get((name, kind)):
        data = tuple(_allowed(final, private=private))
        records += [Records(name, kind, final.ttl, data)] if data else []
    complete = bool(records) and records[-1].kind == kind
    authority = () if complete else _denial(response, name)
    limits = [one.ttl for one in records] + [one.ttl for one in authority]
    ttl = min((*limits, _TTL_MAX if complete else _NEGATIVE_TTL_MAX)) if limits else 0
    answer = Answer(
        rcode=dns.rcode.NOERROR if complete else response.rcode(),
        records=tuple(records),
        authority=authority,
        ttl=ttl,
    )
    return answer.aged(0)


def _address(data: Any) -> Address:
    return ip_address(data.address)


def _allowed(rrset: dns.rrset.RRset, *, private: bool) -> Iterable[dns.rdata.Rdata]:
    if rrset.rdtype in _ADDRESS_TYPES and not private:
        return (one for one in rrset if not is_special(ip_network(one.address)))
    if rrset.rdtype in _SERVICE_TYPES:
        # Addresses are asked for by name: only then are they judged, and may be called.
        return (_without_hints(one) for one in rrset)
    return rrset


def _without_hints(data: Any) -> dns.rdata.Rdata:
    params = {key: value for key, value in data.params.items() if key not in _HINTS}
    return data.replace(params=params)  # type: ignore[no-any-return]


def _denial(response: dns.message.Message, name: dns.name.Name) -> tuple[Records, ...]:
    """Who says that there is nothing, and for how long (RFC 2308, 5)."""
    for one in response.authority:
        is_soa = (one.rdclass, one.rdtype) == (dns.rdataclass.IN, dns.rdatatype.SOA)
        if is_soa and name.is_subdomain(one.name):
            return (Records(one.name.canonicalize(), one.rdtype, min(one.ttl, one[0].minimum), (one[0],)),)
    return ()
