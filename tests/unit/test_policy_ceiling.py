"""Whether a change of a policy may be made while the instance runs."""

import pytest
from hypothesis import given

from kwhost.core.model.policy import BUILT_IN_POLICIES
from kwhost.core.policy.ceiling import Grant, ceiling_calls, ceiling_grants, needs_restart, within_ceiling
from kwhost.core.policy.evaluate import (
    AddressUse,
    Call,
    PathUse,
    judge_address,
    judge_arguments,
    judge_path,
)
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import Access, Layer, Policy
from tests.unit.policy_parts import address_uses, calls, in_layer, path_uses, policies, policy_from, untimed

DEFAULT = built_in().find("default")


def permits(policy: Policy, question: Call | PathUse | AddressUse) -> bool:
    if isinstance(question, Call):
        return judge_arguments(policy, question).verdict.permits
    judged = (
        judge_path(policy, question) if isinstance(question, PathUse) else judge_address(policy, question)
    )
    return judged is None or judged.verdict.permits


@untimed
@given(policies, policies, calls | path_uses | address_uses)
def test_what_is_found_inside_permits_nothing_beyond_the_ceiling(
    old: Policy, new: Policy, question: Call | PathUse | AddressUse
) -> None:
    if not within_ceiling(old, new) and permits(new, question):
        assert permits(old, question) or permits(DEFAULT, question)


@untimed
@given(policies)
def test_no_change_is_inside(policy: Policy) -> None:
    assert within_ceiling(policy, policy) == ()


@untimed
@given(policies)
def test_the_default_policy_is_inside_every_ceiling(policy: Policy) -> None:
    assert within_ceiling(policy, DEFAULT) == ()


@untimed
@given(policies, calls)
def test_the_ceilings_calls_are_those_that_may_be_permitted(policy: Policy, call: Call) -> None:
    if permits(policy, call) or permits(DEFAULT, call):
        assert call.name in ceiling_calls([Layer("a", policy)])


@untimed
@given(policies, path_uses)
def test_the_ceilings_grants_hold_whatever_may_be_permitted(policy: Policy, use: PathUse) -> None:
    if permits(policy, use) or permits(DEFAULT, use):
        granted = Access.NONE
        for path, beneath, access in ceiling_grants(policy):
            if use.path == path or (beneath and use.path.startswith(path.rstrip(b"/") + b"/")):
                granted |= access
        assert use.access in granted


def test_rules_on_files_in_memory_grant_nothing_on_directories() -> None:
    files = 'files = [{ path = "/memfd:*", access = "rw" }, { path = "/srv/**", access = "r" }]\n'

    assert ceiling_grants(policy_from(SEALED + files)) == (Grant(b"/srv", beneath=True, access=Access.READ),)


def test_a_policy_that_is_its_own_ceiling_grants_what_its_rules_do() -> None:
    files = "files = [{ path = '/srv/**', access = 'rw' }, { path = '/a/*', access = 'r' }]"

    assert set(ceiling_grants(policy_from(SEALED + files))) == {
        Grant(b"/srv", True, Access.READ | Access.WRITE),
        Grant(b"/a", True, Access.READ),
    }


@pytest.mark.parametrize("name", BUILT_IN_POLICIES)
def test_built_in_policies_narrow_the_default(name: str) -> None:
    assert within_ceiling(DEFAULT, built_in().find(name)) == ()


WEB = """
base = "default"
files = [{ path = "/**", access = "rx" }, { path = "/srv/**", access = "rw" }]
network = [{ to = "10.0.0.0/8", ports = [443], action = "allow" }]
"""


@pytest.mark.parametrize(
    "change",
    [
        "syscalls = { deny = ['mkdir'] }",
        "syscalls = { ask = ['connect'], kill = ['ptrace'] }",
        "syscalls = { rules = [{ call = 'ioctl', args = { 1 = ['TCGETS'] }, action = 'log' }] }",
        "syscalls = { rules = [{ call = 'clone', args = { 0 = ['SIGCHLD'] }, action = 'allow' }] }",
        "limits = { fork = '1/s' }",
    ],
)
def test_what_default_permits_may_be_given_and_taken_at_once(change: str) -> None:
    assert within_ceiling(policy_from(WEB), policy_from(f"{WEB}\n{change}")) == ()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("syscalls = { allow = ['mount'] }", "allow mount"),
        ("syscalls = { allow = ['@mount'] }", "allow @mount"),
        ("syscalls = { ask = ['bpf'] }", "ask bpf"),
        (
            "syscalls = { rules = [{ call = 'socket', args = { 0 = ['AF_PACKET'] }, action = 'allow' }] }",
            "allow socket with 0 = AF_PACKET",
        ),
        (
            "syscalls = { rules = [{ call = 'clone', args = { 0 = ['CLONE_NEWUSER'] }, action = 'log' }] }",
            "log clone with 0 = CLONE_NEWUSER",
        ),
        ("default = 'allow'", "default allow"),
    ],
)
def test_what_neither_policy_permits_needs_a_restart_and_is_named(change: str, rule: str) -> None:
    outside = within_ceiling(policy_from(WEB), policy_from(f"{WEB}\n{change}"))

    assert rule in [str(each) for each in outside]


SEALED = 'ceiling = "policy"\nsyscalls = { allow = ["read", "openat", "connect"] }\n'


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("files = [{ path = '/srv/**', access = 'rw' }]", "files = [{ path = '/srv/a', access = 'r' }]", []),
        (
            "files = [{ path = '/srv/**', access = 'r' }]",
            "files = [{ path = '/srv/a', access = 'rw' }]",
            ["rw /srv/a"],
        ),
        ("files = [{ path = '/srv/**', access = 'r' }]", "", ["default errno:EPERM"]),
        (
            "network = [{ to = '10.0.0.0/8', action = 'allow' }]",
            "network = [{ to = '10.1.0.0/16', ports = [80], action = 'ask' }]",
            [],
        ),
        (
            "network = [{ to = '10.0.0.0/8', ports = [80], action = 'allow' }]",
            "network = [{ to = '10.0.0.0/8', action = 'allow' }]",
            ["allow to 10.0.0.0/8"],
        ),
        (
            "network = [{ to = 'any', action = 'allow' }, { to = '10.0.0.0/8', action = 'deny' }]",
            "network = [{ to = 'any', action = 'allow' }]",
            ["allow to any"],
        ),
    ],
)
def test_files_and_addresses_have_a_ceiling_too(old: str, new: str, rules: list[str]) -> None:
    outside = within_ceiling(policy_from(SEALED + old), policy_from(SEALED + new))

    assert [str(rule) for rule in outside] == rules


def test_a_policy_that_is_its_own_ceiling_cannot_become_the_default() -> None:
    assert within_ceiling(built_in().find("strict"), DEFAULT) != ()


def test_of_layers_the_rules_that_need_a_restart_are_told_with_their_places() -> None:
    old = in_layer(DEFAULT, policy_from(WEB))
    new = in_layer(DEFAULT, policy_from(f"{WEB}\nsyscalls = {{ allow = ['mount'] }}"))
    wide = in_layer(policy_from("syscalls = { allow = ['mount'] }"))

    assert needs_restart(old, new) == ()  # the default layer still keeps it out
    assert needs_restart(old[1:], new[1:]) == (
        "needs a restart: web.toml:6: syscalls.allow[0]: allow mount is beyond the ceiling of b",
    )
    assert needs_restart(old, wide)[-1] == "needs a restart: the layer b is gone"
    assert needs_restart([], new) == ()
