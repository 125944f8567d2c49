"""What policies say of a call: the meaning of the language, which the monitor's own evaluator shares."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kwhost.core.model.network import Address
from kwhost.core.policy.destinations import Direction, Protocol, plain_address
from kwhost.core.policy.model import ALLOW, NO_ACCESS, Access, Action, Layer, Policy, Rule, Verdict
from kwhost.core.policy.ranking import ranked_calls, ranked_files, ranked_network

__all__ = [
    "AddressUse",
    "Call",
    "Decision",
    "Finding",
    "PathUse",
    "decide",
    "judge",
    "judge_address",
    "judge_arguments",
    "judge_path",
]


class PathUse(NamedTuple):
    """An object that the call acts on: its path, absolute and without links, and what is done with it."""

    path: bytes
    access: Access


class AddressUse(NamedTuple):
    """An address that is called or sent to, or an own one to listen on; `protocol` None: another one."""

    direction: Direction
    address: Address
    port: int
    protocol: Protocol | None


class Call(NamedTuple):
    """A system call by name; arguments as in registers."""

    name: str
    arguments: tuple[int, ...] = ()
    paths: tuple[PathUse, ...] = ()
    addresses: tuple[AddressUse, ...] = ()


class Finding(NamedTuple):
    """What one policy says of the call, or of one of its paths or addresses: `about` names which.

    `others` are the rules that fit too and had to yield, in order.
    """

    verdict: Verdict
    rule: Rule
    about: str
    others: tuple[Rule, ...] = ()


class Decision(NamedTuple):
    """What becomes of a call; `rule` and `layer` are None where there is no layer at all."""

    action: Action
    errno: int
    rule: Rule | None
    layer: str | None


def judge_arguments(policy: Policy, call: Call) -> Finding:
    """What the rules on calls say."""
    fitting = [
        rule
        for rule in ranked_calls(policy, call.name)
        if all(condition.holds(call.arguments) for condition in rule.conditions)
    ]
    rule, *others = [*fitting, policy.default]
    return Finding(rule.verdict, rule, call.name, tuple(others))


def judge_path(policy: Policy, use: PathUse) -> Finding | None:
    """What the rules on files say; None where there are none, or where nothing is done with the object."""
    if not policy.files or not use.access:
        return None
    about = f"{use.access} {use.path.decode(errors='backslashreplace')}"
    fitting = [rule for rule in ranked_files(policy) if rule.pattern.matches(use.path)]
    if not fitting:
        return Finding(policy.default.on_objects, policy.default, about)
    verdict = NO_ACCESS if use.access & ~fitting[0].access else ALLOW
    return Finding(verdict, fitting[0], about, (*fitting[1:], policy.default))


def judge_address(policy: Policy, use: AddressUse) -> Finding | None:
    """What the rules on the network say; None where there are none."""
    if not policy.network:
        return None
    address = plain_address(use.address) if use.direction is Direction.TO else use.address
    fitting = [
        rule
        for rule in ranked_network(policy)
        if rule.destination.matches(use.direction, address, use.port, use.protocol)
    ]
    about = f"{use.direction.value} {address} port {use.port}"
    if not fitting:
        return Finding(policy.default.on_objects, policy.default, about)
    return Finding(fitting[0].verdict, fitting[0], about, (*fitting[1:], policy.default))


def _findings(policy: Policy, call: Call) -> Iterator[Finding | None]:
    yield judge_arguments(policy, call)
    for path in call.paths:
        yield judge_path(policy, path)
    for address in call.addresses:
        yield judge_address(policy, address)


def judge(policy: Policy, call: Call) -> tuple[Finding, ...]:
    """All that one policy says of a call; the strictest counts, of equally strict ones the first."""
    return tuple(finding for finding in _findings(policy, call) if finding)


def decide(layers: Sequence[Layer], call: Call) -> Decision:
    """What all layers together say: the strictest, of equally strict ones the first."""
    decision = Decision(Action.ALLOW, 0, None, None)
    strictness = -1
    for layer in layers:
        for verdict, rule, *_ in judge(layer.policy, call):
            if verdict.strictness > strictness:
                decision = Decision(verdict.action, verdict.errno, rule, layer.name)
                strictness = verdict.strictness
    return decision
