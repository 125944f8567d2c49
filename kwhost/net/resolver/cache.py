"""What one tenant was answered a while ago. Tenants share none: nobody learns what another asked."""

from collections import OrderedDict
from typing import NamedTuple

import dns.name
import dns.rdatatype

from kwhost.net.resolver.answers import Answer

__all__ = ["Cache"]

# Roughly bytes, as Python has them.
_COST_MAX = 1 << 20
_ENTRY_COST, _RECORD_COST = 1200, 400

_Question = tuple[dns.name.Name, dns.rdatatype.RdataType]


class _Entry(NamedTuple):
    answer: Answer
    since: float
    cost: int


class Cache:
    """Bounded; what was not asked for the longest goes first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[_Question, _Entry] = OrderedDict()
        self._cost = 0

    def get(self, question: _Question, now: float) -> Answer | None:
        """As it is given `now`."""
        entry = self._entries.get(question)
        if entry is None:
            return None
        if now >= entry.since + entry.answer.ttl:
            self._forget(question)
            return None
        self._entries.move_to_end(question)
        return entry.answer.aged(now - entry.since)

    def put(self, question: _Question, answer: Answer, now: float) -> None:
        """Keep it for as long as its TTL."""
        self._forget(question)
        cost = _cost(answer)
        if answer.ttl and cost <= _COST_MAX // 16:
            self._entries[question] = _Entry(answer, now, cost)
            self._cost += cost
        while self._cost > _COST_MAX:
            self._forget(next(iter(self._entries)))

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._cost = 0

    def _forget(self, question: _Question) -> None:
        if entry := self._entries.pop(question, None):
            self._cost -= entry.cost


def _cost(answer: Answer) -> int:
    return _ENTRY_COST + sum(
        _RECORD_COST + 2 * len(one.to_wire() or b"")
        for part in (*answer.records, *answer.authority)
        for one in part.data
    )
