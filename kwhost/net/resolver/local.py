"""The names that kwhost answers for itself, and never asks others for."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename

from kwhost.net.resolver.answers import Answer, Records
from kwhost.net.zones import DOMAIN, Zone

__all__ = ["LocalNames"]

# Instances come and go.
_TTL = 5
_APEX = dns.name.from_text(DOMAIN)
_LOCALHOST = dns.name.from_text("localhost")
# Special names that are nobody's on the internet (RFC 6761, 6762, 7686, 9462) and the reverse of addresses
# that are private (RFC 6303): whoever else is asked for them learns what is none of their business.
_PRIVATE = frozenset(
    dns.name.from_text(text)
    for text in [
        DOMAIN,
        "localhost",
        "invalid",
        "local",
        "onion",
        "resolver.arpa",
        "0.in-addr.arpa",
        "10.in-addr.arpa",
        "127.in-addr.arpa",
        "254.169.in-addr.arpa",
        "168.192.in-addr.arpa",
        "2.0.192.in-addr.arpa",
        "100.51.198.in-addr.arpa",
        "113.0.203.in-addr.arpa",
        "255.255.255.255.in-addr.arpa",
        *(f"{part}.172.in-addr.arpa" for part in range(16, 32)),
        *(f"{part}.100.in-addr.arpa" for part in range(64, 128)),
        "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
        "c.f.ip6.arpa",
        "d.f.ip6.arpa",
        "8.e.f.ip6.arpa",
        "9.e.f.ip6.arpa",
        "a.e.f.ip6.arpa",
        "b.e.f.ip6.arpa",
        "8.b.d.0.1.0.0.2.ip6.arpa",
    ]
)

_Data = dict[dns.rdatatype.RdataType, list[dns.rdata.Rdata]]


def _data(kind: dns.rdatatype.RdataType, text: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text(dns.rdataclass.IN, kind, text)


_SOA = _data(dns.rdatatype.SOA, f"{DOMAIN}. nobody.{DOMAIN}. 1 3600 600 86400 {_TTL}")
_LOOPBACK = {
    dns.rdatatype.A: _data(dns.rdatatype.A, "127.0.0.1"),
    dns.rdatatype.AAAA: _data(dns.rdatatype.AAAA, "::1"),
}


class LocalNames:
    """What one tenant may know: `instance[.tenant[.kwhost]]`, and their reverse."""

    def __init__(self, zone: Zone) -> None:
        self._hosts: dict[dns.name.Name, _Data] = {}
        self._pointers: dict[dns.name.Name, dns.name.Name] = {}
        self._turn = count()
        origin = dns.name.from_text(f"{zone.tenant}.{DOMAIN}")
        endings = (origin, dns.name.from_text(zone.tenant), dns.name.root)
        for one in zone.residents:
            a, aaaa = _data(dns.rdatatype.A, str(one.address4)), _data(dns.rdatatype.AAAA, str(one.address6))
            for name in _names(one.name, endings):
                self._add(name, a, aaaa)
            for service in set(one.services) - {one.name}:
                for name in _names(service, endings):
                    self._add(name, *((a, aaaa) if one.healthy else ()))
            for full in _names(one.name, (origin,)):
                for address in (one.address4, one.address6):
                    self._pointers[dns.reversename.from_address(str(address))] = full
        # Names above names: there is nothing there, but they are.
        self._above = {origin, *self._pointers}
        for name in (*self._hosts, *self._pointers, origin):
            while len(name) > 2 and (name := name.parent()) not in self._above:
                self._above.add(name)

    def _add(self, name: dns.name.Name, *data: dns.rdata.Rdata) -> None:
        host = self._hosts.setdefault(name, {})
        for one in data:
            host.setdefault(one.rdtype, []).append(one)

    def answer(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Answer | None:
        """The answer; None: the name is somebody else's."""
        if (host := self._hosts.get(name)) is not None:
            return self._host(name, kind, host)
        if name.is_subdomain(_LOCALHOST):
            return _found(name, kind, _LOOPBACK[kind]) if kind in _LOOPBACK else _nothing(_LOCALHOST)
        if kind == dns.rdatatype.PTR and (pointer := self._pointers.get(name)):
            return _found(name, kind, _data(kind, pointer.to_text()))
        apex = next((one for one in (name, *_parents(name)) if one in _PRIVATE), None)
        if apex is None and len(name) == 2:  # one label, and the root's
            apex = dns.name.root
        if apex is None:
            return None
        exists = name == apex or name in self._above
        return _nothing(apex) if exists else _nothing(apex, dns.rcode.NXDOMAIN)

    def _host(self, name: dns.name.Name, kind: dns.rdatatype.RdataType, host: _Data) -> Answer:
        data = host.get(kind)
        if not data:
            return _nothing(_APEX if name.is_subdomain(_APEX) else dns.name.root)
        first = next(self._turn) % len(data)
        return _found(name, kind, *data[first:], *data[:first])


def _names(text: str, endings: Iterable[dns.name.Name]) -> Iterator[dns.name.Name]:
    """A name with each ending; none of an instance's name that is no host name, such as "a..b"."""
    for ending in endings:
        with suppress(dns.exception.DNSException):
            yield dns.name.from_text(text, ending).canonicalize()


def _parents(name: dns.name.Name) -> list[dns.name.Name]:
    return [dns.name.Name(name.labels[start:]) for start in range(1, len(name) - 1)]


def _found(name: dns.name.Name, kind: dns.rdatatype.RdataType, *data: dns.rdata.Rdata) -> Answer:
    return Answer(records=(Records(name, kind, _TTL, data),), authoritative=True)


def _nothing(apex: dns.name.Name, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> Answer:
    soa = Records(apex, dns.rdatatype.SOA, _TTL, (_SOA,))
    return Answer(rcode=rcode, authority=(soa,), authoritative=True)
