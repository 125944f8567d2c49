"""Policies by their names: the built-in ones, those of a configuration, and those of files."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from kwhost.core.config.document import Document, parse_document, table_document
from kwhost.core.config.policy_schema import POLICY, Placed
from kwhost.core.config.problems import Place
from kwhost.core.config.tables import Settings, nearest
from kwhost.core.errors import NotFound
from kwhost.core.model.policy import BUILT_IN_POLICIES, DEFAULT_POLICY, Ceiling
from kwhost.core.policy.declare import Declared, declare_policy
from kwhost.core.policy.model import (
    ASK_TIMEOUT,
    DENY,
    CallRule,
    DefaultRule,
    FileRule,
    NetworkRule,
    Origin,
    Policy,
    RateLimit,
)

__all__ = ["Library", "built_in", "inherit", "read_policies", "read_policy_file", "read_policy_table"]

# In the place of a file's name among policies; no policy can be called so.
_FILE = "the file"
_Some = TypeVar("_Some", CallRule, FileRule, NetworkRule, RateLimit, DefaultRule)


class Library(NamedTuple):
    """Policies by name, bases included in each."""

    policies: Mapping[str, Policy]

    def find(self, name: str) -> Policy:
        """Raises NotFound."""
        if name not in self.policies:
            hint = nearest(name, list(self.policies), "the policies are")
            raise NotFound(f"there is no policy {name}{hint}")
        return self.policies[name]


def inherit(base: Policy, declared: Declared) -> Policy:
    """A policy on a base: all rules of both; the origins tell which override which."""
    generation = base.generations
    return Policy(
        name=declared.name,
        default=_next(declared.default, generation) if declared.default else base.default,
        ceiling=declared.ceiling or base.ceiling,
        ask_timeout=declared.ask_timeout or base.ask_timeout,
        calls=base.calls + tuple(_next(rule, generation) for rule in declared.calls),
        files=base.files + tuple(_next(rule, generation) for rule in declared.files),
        network=base.network + tuple(_next(rule, generation) for rule in declared.network),
        limits=_override_limits(base.limits, tuple(_next(rule, generation) for rule in declared.limits)),
        generations=generation + 1,
    )


def _next(rule: _Some, generation: int) -> _Some:
    return replace(rule, origin=rule.origin._replace(generation=generation))


def _override_limits(base: tuple[RateLimit, ...], own: tuple[RateLimit, ...]) -> tuple[RateLimit, ...]:
    names = {limit.name for limit in own}
    return tuple(limit for limit in base if limit.name not in names) + own


def _without_base(declared: Declared) -> Policy:
    """A policy that inherits nothing."""
    origin = Origin(declared.name, declared.place.problems.where(declared.place.path))
    return Policy(
        name=declared.name,
        default=declared.default or DefaultRule(verdict=DENY, origin=origin),
        ceiling=declared.ceiling or Ceiling.DEFAULT,
        ask_timeout=declared.ask_timeout or ASK_TIMEOUT,
        calls=declared.calls,
        files=declared.files,
        network=declared.network,
        limits=declared.limits,
    )


@cache
def built_in() -> Library:
    """The policies that kwhost has of its own."""
    return Library(
        MappingProxyType(_resolve({name: _declare_built_in(name) for name in BUILT_IN_POLICIES}, {}))
    )


def _declare_built_in(name: str) -> Declared:
    data = (resources.files("kwhost.core.policy") / "profiles" / f"{name}.toml").read_bytes()
    document = parse_document(Path(f"{name}.toml"), data)
    declared = declare_policy(name, POLICY.read(document.values, document.top) or {}, document.top)
    document.top.problems.raise_any()
    return declared


def read_policies(settings: Mapping[str, Settings], place: Place) -> Library:
    """The built-in policies and those of `[policies]`, whose place it is. Raises ConfigErrors with all that
    is wrong in them; a configuration may have its own `strict` or `web`, but no other `default`."""
    if DEFAULT_POLICY in settings:
        place.below(DEFAULT_POLICY).report("is built in: choose another name")
    declared = {name: declare_policy(name, table, place.below(name)) for name, table in settings.items()}
    policies = _resolve(declared, built_in().policies)
    place.problems.raise_any()
    return Library(MappingProxyType(policies))


def read_policy_file(path: Path, data: bytes, library: Library | None = None) -> Policy:
    """The policy that is a file's content; bases are looked for in `library`, without it among the built-in
    ones. Raises ConfigErrors with all that is wrong in it."""
    return _read_single(path.stem, parse_document(path, data), library)


def read_policy_table(name: str, table: Mapping[str, object], library: Library) -> Policy:
    """The same of a table that stands in no file."""
    return _read_single(name, table_document(name, table), library)


def _read_single(name: str, document: Document, library: Library | None) -> Policy:
    values, top = document
    declared = declare_policy(name, POLICY.read(values, top) or {}, top)
    # The file's own name is nobody's base: its table may well inherit from a policy of that name.
    policies = _resolve({_FILE: declared}, (library or built_in()).policies)
    top.problems.raise_any()
    return policies[_FILE]


def _resolve(declared: Mapping[str, Declared], others: Mapping[str, Policy]) -> dict[str, Policy]:
    """All of them with what they inherit; bases that are missing or go in a circle are reported."""
    policies = {name: policy for name, policy in others.items() if name not in declared}
    for name in declared:
        chain = _undecided_bases(name, declared, policies)
        last = declared[chain[-1]].base if chain else None
        base = policies.get(last.value) if last else None
        if last and base is None:
            _report_base(last, chain, [*policies, *(name for name in declared if name != _FILE)])
        for each in reversed(chain):
            own = declared[each]
            base = inherit(base, own) if base else _without_base(own)
            policies[each] = base
    return policies


def _undecided_bases(
    name: str, declared: Mapping[str, Declared], policies: Mapping[str, Policy]
) -> list[str]:
    """The policy and its bases, up to the first that is known, missing or there already."""
    chain: list[str] = []
    while name in declared and name not in policies and name not in chain:
        chain.append(name)
        base = declared[name].base
        if base is None:
            break
        name = base.value
    return chain


def _report_base(base: Placed, chain: list[str], names: list[str]) -> None:
    if base.value in chain:
        circle = [*chain[chain.index(base.value) :], base.value]
        base.place.report(f"goes in a circle: {' -> '.join(circle)}")
    else:
        base.place.report(f"there is no policy {base.value}{nearest(base.value, names, 'the policies are')}")
