"""From the settings of one policy table to its own rules; every mistake is reported where it stands."""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple, TypeVar

from kwhost.core.config.policy_schema import Placed
from kwhost.core.config.problems import Place
from kwhost.core.config.tables import Settings
from kwhost.core.errors import UsageError
from kwhost.core.model.policy import Ceiling
from kwhost.core.policy.calls import Width, argument_widths
from kwhost.core.policy.destinations import (
    Destination,
    Direction,
    PortRange,
    Protocol,
    parse_ports,
    parse_prefix,
)
from kwhost.core.policy.model import (
    CallRule,
    Condition,
    DefaultRule,
    FileRule,
    NetworkRule,
    Origin,
    RateLimit,
)
from kwhost.core.policy.patterns import parse_pattern
from kwhost.core.policy.words import (
    parse_access,
    parse_calls,
    parse_condition,
    parse_rate,
    parse_rated_calls,
    parse_verdict,
)

__all__ = ["Declared", "declare_policy"]

_LISTS = ("allow", "log", "ask", "deny", "kill")
_ARGUMENTS = ("0", "1", "2", "3", "4", "5")
_CONDITIONS_MAX = 4
_CHOICES_MAX = 256
_Result = TypeVar("_Result")


class Declared(NamedTuple):
    """What a table itself says; None: what its base does."""

    name: str
    place: Place
    base: Placed | None
    default: DefaultRule | None
    ceiling: Ceiling | None
    ask_timeout: float | None
    calls: tuple[CallRule, ...]
    files: tuple[FileRule, ...]
    network: tuple[NetworkRule, ...]
    limits: tuple[RateLimit, ...]


def declare_policy(name: str, settings: Settings, place: Place) -> Declared:
    """Read what POLICY has read from a table; what is wrong is reported, and left out."""
    return Declared(
        name=name,
        place=place,
        base=settings.get("base"),
        default=_default_rule(name, settings.get("default")),
        ceiling=settings.get("ceiling"),
        ask_timeout=settings.get("ask_timeout"),
        calls=_without_contradictions(_call_rules(name, settings.get("syscalls", {}))),
        files=_without_contradictions(_file_rules(name, settings.get("files", ()))),
        network=_without_contradictions(_network_rules(name, settings.get("network", ()))),
        limits=tuple(_limits(name, settings.get("limits", {}))),
    )


def _default_rule(policy: str, placed: Placed | None) -> DefaultRule | None:
    verdict = _read(parse_verdict, placed)
    if placed is None or verdict is None:
        return None
    return DefaultRule(verdict=verdict, origin=_origin(policy, placed.place))


def _origin(policy: str, place: Place) -> Origin:
    return Origin(policy, place.problems.where(place.path))


def _read(parse: Callable[[Any], _Result], placed: Placed | None) -> _Result | None:
    """What a text means; None where it is wrong or missing."""
    if placed is None:
        return None
    try:
        return parse(placed.value)
    except UsageError as error:
        placed.place.report(str(error))
        return None


class _Found(NamedTuple):
    """A rule and where to report that it contradicts another."""

    rule: Any
    place: Place


def _without_contradictions(found: Iterable[_Found]) -> tuple[Any, ...]:
    """The rules, each once; one that says another thing of the same is reported."""
    said: dict[object, Any] = {}
    for rule, place in found:
        other = said.setdefault(rule.about, rule)
        if rule.effect != other.effect:
            place.report(f'"{rule}" contradicts "{other}" at {other.origin.where}')
    return tuple(said.values())


def _call_rules(policy: str, syscalls: Settings) -> Iterator[_Found]:
    for word in _LISTS:
        for placed in syscalls.get(word, ()):
            calls = _read(parse_calls, placed)
            if calls:
                rule = CallRule(
                    name=placed.value,
                    calls=calls,
                    verdict=parse_verdict(word),
                    origin=_origin(policy, placed.place),
                )
                yield _Found(rule, placed.place)
    for placed in syscalls.get("rules", ()):
        yield from _argument_rules(policy, placed)


def _argument_rules(policy: str, placed: Placed) -> Iterator[_Found]:
    """A rule for each combination of what the arguments may be."""
    settings, place = placed
    name, verdict = settings.get("call"), _read(parse_verdict, settings.get("action"))
    calls = _read(parse_calls, name)
    arguments = settings.get("args", {})
    if not calls:
        return
    if arguments and name.value.startswith("@"):
        place.below("args").report(f"{name.value} is a set: only a single call has arguments to compare")
        return
    choices = [_conditions(name.value, key, one) for key, one in arguments.items()]
    if len(choices) > _CONDITIONS_MAX:
        place.below("args").report(f"{len(choices)} arguments are compared; {_CONDITIONS_MAX} are allowed")
        return
    if verdict is None or [] in choices:
        return  # reported already
    combinations = list(product(*choices))
    if len(combinations) > _CHOICES_MAX:
        place.below("args").report(
            f"the lists make {len(combinations)} combinations; {_CHOICES_MAX} are allowed"
        )
        return
    for conditions in combinations:
        rule = CallRule(
            name=name.value,
            calls=calls,
            conditions=conditions,
            verdict=verdict,
            origin=_origin(policy, place),
        )
        yield _Found(rule, place)


def _conditions(call: str, key: str, placed: Placed) -> list[Condition]:
    """One for each value that an argument may have; none where something is wrong."""
    widths = argument_widths(call)
    if key not in _ARGUMENTS:
        placed.place.report("is no argument: they are numbered from 0 to 5")
        return []
    if int(key) >= len(widths):
        usable = [str(index) for index, width in enumerate(widths) if width is not Width.POINTER]
        which = (
            f"numbers are its arguments {', '.join(usable)}"
            if usable
            else "none of its arguments is a number"
        )
        placed.place.report(f"{call} has no such number to compare; {which}")
        return []
    width = widths[int(key)]
    if width is Width.POINTER:
        placed.place.report(f"argument {key} of {call} is an address: only numbers can be compared")
        return []
    read = [_read(lambda value: parse_condition(int(key), width, value), one) for one in placed.value]
    return [] if None in read else [condition for condition in read if condition]


def _file_rules(policy: str, files: Iterable[Placed]) -> Iterator[_Found]:
    for settings, place in files:
        pattern = _read(parse_pattern, settings.get("path"))
        access = _read(parse_access, settings.get("access"))
        if pattern is not None and access is not None:
            yield _Found(FileRule(pattern=pattern, access=access, origin=_origin(policy, place)), place)


def _network_rules(policy: str, rules: Iterable[Placed]) -> Iterator[_Found]:
    for settings, place in rules:
        destination = _destination(settings, place)
        verdict = _read(parse_verdict, settings.get("action"))
        if destination is not None and verdict is not None:
            rule = NetworkRule(destination=destination, verdict=verdict, origin=_origin(policy, place))
            yield _Found(rule, place)


def _destination(settings: Settings, place: Place) -> Destination | None:
    directions = [direction for direction in Direction if place.below(direction.value).is_set()]
    if len(directions) != 1:
        place.report(f"must have exactly one of to and listen, not {len(directions)} of them")
        return None
    (direction,) = directions
    if direction.value not in settings:
        return None  # reported already
    if direction is Direction.LISTEN and "ports" in settings:
        place.below("ports").report("listen itself names the ports")
        return None
    ports = _ports(settings.get("listen" if direction is Direction.LISTEN else "ports", ()))
    protocol = _read(_parse_protocol, settings.get("protocol"))
    prefix = None
    if direction is Direction.TO:
        try:
            prefix = parse_prefix(settings["to"].value)
        except UsageError as error:
            settings["to"].place.report(str(error))
            return None
    return Destination(direction=direction, prefix=prefix, ports=ports, protocol=protocol)


def _ports(placed: Iterable[Placed]) -> tuple[PortRange, ...]:
    read = [_read(parse_ports, one) for one in placed]
    return tuple(sorted(ports for ports in read if ports))


def _parse_protocol(text: str) -> Protocol:
    for protocol in Protocol:
        if protocol.value == text:
            return protocol
    raise UsageError(f'there is no protocol {text!r}: write "tcp" or "udp"')


def _limits(policy: str, limits: Settings) -> Iterator[RateLimit]:
    for name, placed in limits.items():
        calls = _read(parse_rated_calls, Placed(name, placed.place))
        rate = _read(parse_rate, placed)
        if calls and rate:
            yield RateLimit(
                name=name,
                calls=calls,
                count=rate.calls,
                period_ms=rate.period_ms,
                origin=_origin(policy, placed.place),
            )
