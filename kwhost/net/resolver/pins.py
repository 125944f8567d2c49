"""Which addresses instances may call as they asked for a name that they may call, as text for nft. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil

from kwhost.core.model.network import Address, NameRule
from kwhost.net.egress import pinned_keys
from kwhost.net.names import Owner, table_name
from kwhost.net.state import Key

__all__ = ["PIN_SECONDS_MAX", "Pins", "matching"]

# An answer is good for its TTL, and programs keep addresses a little longer.
_PIN_SECONDS_MIN, PIN_SECONDS_MAX = 120, 3600
_GRACE_SECONDS = 30
_TARGETS_MAX = 512


def matching(rules: Iterable[NameRule], name: str) -> tuple[NameRule, ...]:
    """Those about a name, which is in lower case and has no dot at its end."""
    return tuple(
        rule for rule in rules if name == rule.to or (rule.to.startswith("*.") and name.endswith(rule.to[1:]))
    )


@dataclass(slots=True)
class _Target:
    """An address that one instance may call: by which rules, until when; and the elements that say so."""

    until: dict[NameRule, float] = field(default_factory=dict)
    keys: frozenset[Key] = frozenset()


class Pins:
    """Of all instances, by their addresses. Times are seconds of one clock."""

    def __init__(self, owner: Owner) -> None:
        self._table = f"inet {table_name(owner)}"
        self._held: dict[Address, dict[Address, _Target]] = {}

    def count(self) -> int:
        """How many addresses may be called, of all instances."""
        return sum(len(targets) for targets in self._held.values())

    def keep(self, permitted: Mapping[Address, Iterable[NameRule]], now: float) -> str:
        """Take back what nobody has, or may call, any more; the text says again what all others may."""
        text = ""
        for own, targets in [*self._held.items()]:
            rules = frozenset(permitted.get(own, ()))
            for address, target in [*targets.items()]:
                until = {rule: time for rule, time in target.until.items() if rule in rules and time > now}
                if until != target.until:
                    text += self._delete(own, target.keys)
                target.until = until
                text += self._added(own, address, target, now)
                if not until:
                    del targets[address]
            if not targets:
                del self._held[own]
        return text

    def lacking(
        self, own: Address, targets: Iterable[Address], rules: Iterable[NameRule], until: float
    ) -> list[Address]:
        """Those that may not be called for that long."""
        held, rules = self._held.get(own, {}), tuple(rules)
        return [
            target
            for target in targets
            if any(held.get(target, _NOTHING).until.get(rule, 0) < until for rule in rules)
        ]

    def add(
        self, own: Address, targets: Iterable[Address], rules: tuple[NameRule, ...], ttl: int, now: float
    ) -> str:
        """Let `own` call `targets`; the text is one transaction."""
        until = now + min(max(ttl, _PIN_SECONDS_MIN), PIN_SECONDS_MAX) + _GRACE_SECONDS
        held, text = self._held.setdefault(own, {}), ""
        for address in targets:
            target = held.pop(address, None) or _Target()
            held[address] = target
            target.until = {rule: time for rule, time in target.until.items() if time > now}
            target.until |= dict.fromkeys(rules, until)
            text += self._delete(own, target.keys) + self._added(own, address, target, now)
        while len(held) > _TARGETS_MAX:
            oldest = next(iter(held))
            text += self._delete(own, held.pop(oldest).keys)
        return text

    def drop(self, own: Address, targets: Iterable[Address]) -> None:
        """Take back what could not be done."""
        for address in targets:
            self._held.get(own, {}).pop(address, None)

    def everything(self, now: float) -> str:
        """One transaction after which there are these pins and no others."""
        text = f"flush set {self._table} pinned4\nflush set {self._table} pinned6\n"
        for own, targets in self._held.items():
            for address, target in targets.items():
                target.until = {rule: time for rule, time in target.until.items() if time > now}
                text += self._added(own, address, target, now)
        return text

    def _added(self, own: Address, address: Address, target: _Target, now: float) -> str:
        times = pinned_keys(own, address, ((time, rule) for rule, time in target.until.items()))
        target.keys = frozenset(times)
        return self._command("add", own, _elements(times, now))

    def _delete(self, own: Address, keys: Iterable[Key]) -> str:
        """Also of what has timed out: what is added first is there to be deleted."""
        elements = [" . ".join(key) for key in sorted(keys)]
        added = (f"{element} timeout 1s" for element in elements)
        return self._command("add", own, added) + self._command("delete", own, elements)

    def _command(self, verb: str, own: Address, elements: Iterable[str]) -> str:
        listed = ", ".join(elements)
        return f"{verb} element {self._table} pinned{own.version} {{ {listed} }}\n" if listed else ""


_NOTHING = _Target()


def _elements(times: Mapping[Key, float], now: float) -> Iterator[str]:
    for key, time in sorted(times.items()):
        yield f"{' . '.join(key)} timeout {max(1, ceil(time - now))}s"
