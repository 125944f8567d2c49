"""Answers the questions of one tenant."""

from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

import dns.name
import dns.rdatatype
import trio

from kwhost.core.errors import NetworkError
from kwhost.core.model.network import Address, NameRule
from kwhost.net.resolver.answers import FAILED, REFUSED, Answer, clean_answer
from kwhost.net.resolver.cache import Cache
from kwhost.net.resolver.complaints import complain
from kwhost.net.resolver.limits import LOOKUPS_MAX, TENANT_LOOKUPS_MAX, Asker
from kwhost.net.resolver.local import LocalNames
from kwhost.net.resolver.pinning import Pinning
from kwhost.net.resolver.pins import matching
from kwhost.net.resolver.queries import Query
from kwhost.net.resolver.upstreams import Upstreams
from kwhost.net.zones import Zone

__all__ = ["Outside", "Tenant"]

_ADDRESS_TYPES = (dns.rdatatype.A, dns.rdatatype.AAAA)

_Question = tuple[dns.name.Name, dns.rdatatype.RdataType]


class Outside(NamedTuple):
    """What tenants share; `nursery` is for lookups, which outlive those who asked first."""

    upstreams: Upstreams
    pinning: Pinning
    nursery: trio.Nursery


@dataclass(slots=True)
class _Lookup:
    """A question on its way; all who ask it wait for one answer."""

    done: trio.Event
    answer: Answer = FAILED


class Tenant:
    """`counts` are of questions, by what became of them."""

    def __init__(self, zone: Zone, outside: Outside) -> None:
        self.zone = Zone(tenant=zone.tenant, subnet=zone.subnet)
        self._names = LocalNames(self.zone)
        self._cache = Cache()
        self._lookups: dict[_Question, _Lookup] = {}
        self._waiting = 0
        self._askers: dict[str, Asker] = {}
        self._others = Asker()
        self.counts: Counter[str] = Counter()
        self.update(zone, outside)

    def update(self, zone: Zone, outside: Outside) -> None:
        """Answer by another zone from now on."""
        self._outside = outside
        if zone == self.zone:
            return
        if zone.private_answers != self.zone.private_answers:
            # Replaced, not cleared: a lookup that began before keeps its answer in those of before.
            self._cache, self._lookups = Cache(), {}
        self.zone = zone
        self._names = LocalNames(zone)
        before, self._askers = self._askers, {}
        for resident in zone.residents:
            asker = before.get(str(resident.address4)) or Asker()
            asker.resident = resident
            self._askers |= {str(resident.address4): asker, str(resident.address6): asker}

    def asker(self, address: str) -> Asker | None:
        """Who has an address, as the kernel writes it; None: nobody here."""
        if known := self._askers.get(address):
            return known
        try:
            inside = ip_address(address)
        except ValueError:  # one with a zone
            return None
        return self._others if any(inside in net for net in self.zone.subnet) else None

    def answer_at_once(self, asker: Asker, query: Query) -> Answer | None:
        """The answer; None: `answer` has to find it."""
        if query.fault is not None:
            return Answer(rcode=query.fault)
        if local := self._names.answer(query.name, query.kind):
            return self._count("local", local)
        rules = _rules(asker, query)
        if not (rules or self.zone.forwards):
            return self._count("refused", REFUSED)
        known = self._cache.get((query.name, query.kind), trio.current_time())
        if known is None or self._lacking(asker, query, rules, known):
            return None
        return self._count("cached", known)

    async def answer(self, asker: Asker, query: Query) -> Answer:
        """The answer of others. What the asker may call by it, it may call when this returns."""
        if asker.lookups >= LOOKUPS_MAX or self._waiting >= TENANT_LOOKUPS_MAX:
            return self._count("too many", FAILED)
        asker.lookups += 1
        self._waiting += 1
        try:
            answer = await self._find((query.name, query.kind))
            rules = _rules(asker, query)
            if lacking := self._lacking(asker, query, rules, answer):
                for own, targets in lacking.items():
                    await self._outside.pinning.allow(own, targets, rules, answer.ttl)
        except NetworkError as error:
            complain(f"cannot let an instance of {self.zone.tenant} call {query.name}: {error}")
            return self._count("failed", FAILED)
        finally:
            asker.lookups -= 1
            self._waiting -= 1
        return self._count("failed" if answer.rcode == FAILED.rcode else "forwarded", answer)

    def _count(self, name: str, answer: Answer) -> Answer:
        self.counts[name] += 1
        return answer

    def _lacking(
        self, asker: Asker, query: Query, rules: tuple[NameRule, ...], answer: Answer
    ) -> dict[Address, list[Address]]:
        """By the asker's address: what the answer tells and it may not call yet."""
        if not rules or asker.resident is None or query.kind not in _ADDRESS_TYPES:
            return {}
        one = asker.resident
        own: Address = one.address4 if query.kind == dns.rdatatype.A else one.address6
        targets = self._outside.pinning.lacks(own, answer.addresses(), rules, answer.ttl)
        return {own: targets} if targets else {}

    async def _find(self, question: _Question) -> Answer:
        known = self._cache.get(question, trio.current_time())
        if known is not None:
            return known
        lookup = self._lookups.get(question)
        if lookup is None:
            lookup = self._lookups[question] = _Lookup(trio.Event())
            self._outside.nursery.start_soon(self._look_up, question, lookup)
        await lookup.done.wait()
        return lookup.answer

    async def _look_up(self, question: _Question, lookup: _Lookup) -> None:
        cache, lookups, private = self._cache, self._lookups, self.zone.private_answers
        try:
            response = await self._outside.upstreams.ask(*question)
            if response is not None:
                lookup.answer = clean_answer(response, *question, private=private)
        except Exception as error:  # noqa: BLE001 - what anybody's server says ends no other's answers
            complain(f"cannot make sense of an answer about {question[0]}: {error!r}")
        finally:
            cache.put(question, lookup.answer, trio.current_time())
            del lookups[question]
            lookup.done.set()


def _rules(asker: Asker, query: Query) -> tuple[NameRule, ...]:
    if asker.resident is None or not asker.resident.egress:
        return ()
    return matching(asker.resident.egress, query.name.to_text(omit_final_dot=True))
