"""What policies decide: the most specific rule in a policy, the strictest of all layers."""

import errno
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.policy.destinations import Direction, Protocol, plain_address
from kwhost.core.policy.evaluate import AddressUse, Call, PathUse, decide
from kwhost.core.policy.model import (
    ALLOW,
    NO_ACCESS,
    Access,
    Action,
    CallRule,
    FileRule,
    NetworkRule,
    Policy,
    Verdict,
)
from tests.unit.policy_parts import calls, in_layer, policies, policy_from, untimed

Some = TypeVar("Some", CallRule, FileRule, NetworkRule)
SOME = st.lists(policies, max_size=3)


def verdict_of(*policies: Policy, call: Call) -> Verdict:
    decision = decide(in_layer(*policies), call)
    return Verdict(decision.action, decision.errno)


def unbeaten(rules: Iterable[Some], specific: Callable[[Some], tuple[object, ...]]) -> list[Some]:
    """Of the rules that fit those that no other one is more specific than, or overrides."""
    best: list[Some] = []
    for rule in rules:
        rank = (specific(rule), rule.origin.generation)
        if best and rank > (specific(best[0]), best[0].origin.generation):
            best = []
        if not best or rank == (specific(best[0]), best[0].origin.generation):
            best.append(rule)
    return best


def strictest(verdicts: Iterable[Verdict], otherwise: Verdict) -> Verdict:
    order = list(Action)
    return max(verdicts, key=lambda verdict: order.index(verdict.action), default=otherwise)


def naive_arguments(policy: Policy, call: Call) -> Verdict:
    fitting = [
        rule
        for rule in policy.calls
        if call.name in rule.calls and all(c.holds(call.arguments) for c in rule.conditions)
    ]
    best = unbeaten(fitting, lambda rule: (not rule.name.startswith("@"), len(rule.conditions)))
    return strictest((rule.verdict for rule in best), policy.default.verdict)


def naive_default(policy: Policy) -> Verdict:
    """On paths and addresses."""
    said = policy.default.verdict
    return Verdict(Action.ERRNO, errno.EPERM) if said == Verdict(Action.ERRNO, errno.ENOSYS) else said


def naive_path(policy: Policy, use: PathUse) -> Verdict:
    fitting = [rule for rule in policy.files if rule.pattern.matches(use.path)]
    if not policy.files:
        return ALLOW
    if not fitting:
        return naive_default(policy)
    best = min(
        unbeaten(fitting, lambda rule: rule.pattern.specificity), key=lambda rule: len(str(rule.access))
    )
    return ALLOW if use.access in best.access else NO_ACCESS


def naive_address(policy: Policy, use: AddressUse) -> Verdict:
    if not policy.network:
        return ALLOW
    address = plain_address(use.address)
    fitting = []
    for rule in policy.network:
        to = rule.destination
        if (
            to.direction is use.direction
            and (to.prefix is None or address in to.prefix)
            and (not to.ports or any(use.port in range(first, last + 1) for first, last in to.ports))
            and (to.protocol is None or to.protocol is use.protocol)
        ):
            fitting.append(rule)
    best = unbeaten(fitting, lambda rule: rule.destination.specificity)
    return strictest((rule.verdict for rule in best), naive_default(policy))


def naive(policy: Policy, call: Call) -> Verdict:
    said = [naive_arguments(policy, call)]
    said += [naive_path(policy, use) for use in call.paths]
    said += [naive_address(policy, use) for use in call.addresses]
    return strictest(said, ALLOW)


@untimed
@given(SOME, calls)
def test_it_agrees_with_a_naive_reading_of_the_language(some: list[Policy], call: Call) -> None:
    expected = strictest([naive(policy, call) for policy in some], ALLOW)

    assert verdict_of(*some, call=call) == expected


@untimed
@given(SOME, SOME, SOME, calls)
def test_layers_may_be_put_together_in_any_grouping(
    first: list[Policy], second: list[Policy], third: list[Policy], call: Call
) -> None:
    def both(one: Verdict, other: Verdict) -> Verdict:
        return strictest([one, other], ALLOW)

    a, b, c = (verdict_of(*some, call=call) for some in (first, second, third))

    assert both(both(a, b), c) == both(a, both(b, c)) == verdict_of(*first, *second, *third, call=call)


@untimed
@given(SOME, policies, calls)
def test_a_further_layer_never_widens(some: list[Policy], further: Policy, call: Call) -> None:
    before, after = verdict_of(*some, call=call), verdict_of(*some, further, call=call)

    assert after.strictness >= before.strictness


def test_without_any_layer_all_is_allowed() -> None:
    assert decide([], Call("mount")) == (Action.ALLOW, 0, None, None)


@pytest.mark.parametrize(
    ("strict", "weak"),
    [("kill", "errno:EPERM"), ("errno:EPERM", "ask"), ("ask", "log"), ("log", "allow")],
)
def test_the_strictest_layer_wins_wherever_it_stands(strict: str, weak: str) -> None:
    one, other = policy_from(f"default = '{strict}'"), policy_from(f"default = '{weak}'")

    for layers in ((one, other), (other, one)):
        assert str(verdict_of(*layers, call=Call("read"))) == strict


def test_of_two_errors_the_first_layers_is_answered() -> None:
    layers = in_layer(policy_from("default = 'errno:ENOSYS'"), policy_from("default = 'errno:EPERM'"))

    decision = decide(layers, Call("read"))

    assert str(Verdict(decision.action, decision.errno)) == "errno:ENOSYS"
    assert decision.layer == "a"


@pytest.mark.parametrize(
    ("syscalls", "expected"),
    [
        ("allow = ['@basic-io']", "allow"),
        ("allow = ['@basic-io'], deny = ['read']", "errno:EPERM"),
        ("deny = ['@basic-io'], allow = ['read']", "allow"),
        ("allow = ['@basic-io'], kill = ['@system-service']", "kill"),
        ("deny = ['read'], rules = [{ call = 'read', args = { 0 = [5] }, action = 'allow' }]", "allow"),
        ("allow = ['read'], rules = [{ call = 'read', args = { 0 = [6] }, action = 'deny' }]", "allow"),
        (
            """rules = [{ call = 'read', args = { 0 = [5] }, action = 'deny' },
                        { call = 'read', args = { 0 = [5], 2 = ['<= 100'] }, action = 'allow' }]""",
            "allow",
        ),
        (
            """rules = [{ call = 'read', args = { 0 = ['>= 5'] }, action = 'allow' },
                        { call = 'read', args = { 0 = ['<= 5'] }, action = 'ask' }]""",
            "ask",
        ),
        ("allow = ['write']", "errno:EACCES"),
    ],
)
def test_the_most_specific_rule_decides(syscalls: str, expected: str) -> None:
    inline = " ".join(syscalls.split())
    policy = policy_from(f"default = 'errno:EACCES'\nsyscalls = {{ {inline} }}")

    assert str(verdict_of(policy, call=Call("read", (5, 0, 10)))) == expected


def test_a_guest_cannot_dodge_a_comparison_with_bits_that_the_kernel_ignores() -> None:
    policy = policy_from(
        "default = 'allow'\n"
        "syscalls = { rules = [{ call = 'ioctl', args = { 1 = ['TIOCSTI'] }, action = 'deny' }] }"
    )

    assert not verdict_of(policy, call=Call("ioctl", (0, 0x7_0000_5412, 0))).permits


def test_negative_numbers_are_compared_as_the_register_has_them() -> None:
    policy = policy_from(
        "default = 'deny'\n"
        "syscalls = { rules = [{ call = 'openat', args = { 0 = ['AT_FDCWD'] }, action = 'allow' }] }"
    )

    for register in (2**64 - 100, 2**32 - 100):
        assert verdict_of(policy, call=Call("openat", (register,))).permits


FILES = """
default = "kill"
syscalls = { allow = ["@file-system"] }
files = [
    { path = "/srv/**", access = "rw" },
    { path = "/srv/bin/*", access = "x" },
    { path = "/srv/bin/tool", access = "r" },
    { path = "/etc/shadow", access = "" },
]
"""


@pytest.mark.parametrize(
    ("path", "access", "expected"),
    [
        ("/srv", Access.READ, "allow"),
        ("/srv/a/b", Access.READ | Access.WRITE, "allow"),
        ("/srv/a/b", Access.EXECUTE, "errno:EACCES"),
        ("/srv/bin/other", Access.EXECUTE, "allow"),
        ("/srv/bin/other", Access.READ, "errno:EACCES"),
        ("/srv/bin/tool", Access.READ, "allow"),
        ("/srv/bin/deep/er", Access.WRITE, "allow"),
        ("/srvice", Access.READ, "kill"),
        ("/etc/shadow", Access.READ, "errno:EACCES"),
        ("/etc/passwd", Access.READ, "kill"),
        ("/etc/passwd", Access.NONE, "allow"),
    ],
)
def test_the_longest_literal_path_decides_on_files(path: str, access: Access, expected: str) -> None:
    call = Call("openat", paths=(PathUse(path.encode(), access),))

    assert str(verdict_of(policy_from(FILES), call=call)) == expected


NETWORK = """
default = "deny"
syscalls = { allow = ["@network-io"] }
network = [
    { to = "10.0.0.0/8", ports = [443, "8000-8080"], protocol = "tcp", action = "allow" },
    { to = "10.9.0.0/16", action = "kill" },
    { to = "127.0.0.1", action = "log" },
    { listen = [8080], action = "allow" },
]
"""


@pytest.mark.parametrize(
    ("direction", "address", "port", "expected"),
    [
        (Direction.TO, "10.1.2.3", 443, "allow"),
        (Direction.TO, "::ffff:10.1.2.3", 8001, "allow"),
        (Direction.TO, "10.1.2.3", 80, "errno:EPERM"),
        (Direction.TO, "10.9.2.3", 443, "kill"),
        (Direction.TO, "192.0.2.1", 443, "errno:EPERM"),
        (Direction.TO, "0.0.0.0", 1, "log"),
        (Direction.LISTEN, "0.0.0.0", 8080, "allow"),
        (Direction.LISTEN, "0.0.0.0", 22, "errno:EPERM"),
    ],
)
def test_the_longest_prefix_decides_on_addresses(
    direction: Direction, address: str, port: int, expected: str
) -> None:
    call = Call("connect", addresses=(AddressUse(direction, ip_address(address), port, Protocol.TCP),))

    assert str(verdict_of(policy_from(NETWORK), call=call)) == expected


def test_without_rules_on_files_and_addresses_the_calls_rules_decide_alone() -> None:
    policy = policy_from("syscalls = { allow = ['connect'] }")
    uses = (PathUse(b"/run/socket", Access.WRITE),)

    assert verdict_of(policy, call=Call("connect", paths=uses)) == ALLOW


def test_a_path_or_an_address_is_not_refused_as_if_there_was_no_such_call() -> None:
    rules = """
        default = "errno:ENOSYS"
        files = [{ path = "/srv/**", access = "r" }]
        network = [{ to = "10.0.0.0/8", action = "allow" }]
        syscalls = { allow = ["openat", "connect"] }
    """
    elsewhere = AddressUse(Direction.TO, ip_address("192.0.2.1"), 443, Protocol.TCP)
    denied = Verdict(Action.ERRNO, errno.EPERM)

    assert verdict_of(policy_from(rules), call=Call("mount")) == Verdict(Action.ERRNO, errno.ENOSYS)
    assert (
        verdict_of(policy_from(rules), call=Call("openat", paths=(PathUse(b"/etc", Access.READ),))) == denied
    )
    assert verdict_of(policy_from(rules), call=Call("connect", addresses=(elsewhere,))) == denied
