"""Bases: what is inherited, overridden and refused; where policies come from."""

from pathlib import Path

import pytest
from hypothesis import given

from kwhost.core.config.document import parse_document
from kwhost.core.config.policy_schema import INSTANCE_POLICY, POLICIES, POLICY, TENANT_POLICY
from kwhost.core.config.problems import ConfigErrors
from kwhost.core.errors import NotFound
from kwhost.core.model.policy import BUILT_IN_POLICIES, Ceiling
from kwhost.core.policy.declare import Declared
from kwhost.core.policy.evaluate import Call, judge_arguments
from kwhost.core.policy.library import Library, built_in, inherit, read_policies, read_policy_file
from kwhost.core.policy.model import Policy
from tests.unit.policy_parts import calls, policies, untimed


def library_from(text: str) -> Library:
    """What `[policies]` of a configuration with this content means."""
    values, top = parse_document(Path("kwhost.toml"), text.encode())
    place = top.below("policies")
    return read_policies(POLICIES.kind.read(values.get("policies", {}), place), place)


def verdict(policy: Policy, name: str, *arguments: int) -> str:
    return str(judge_arguments(policy, Call(name, arguments)).verdict)


def test_a_base_is_inherited() -> None:
    web = library_from("[policies.web]\nbase = 'default'\nsyscalls.deny = ['mkdir']").find("web")

    assert verdict(web, "mkdir") == "errno:EPERM"
    assert verdict(web, "read") == "allow"
    assert verdict(web, "io_uring_setup") == "errno:ENOSYS"
    assert web.ceiling is Ceiling.DEFAULT


def test_a_base_may_be_overridden_also_wider() -> None:
    text = """
    [policies.narrow]
    default = "kill"
    syscalls = { deny = ["mkdir", "@file-system"], allow = ["rmdir"] }
    files = [{ path = "/srv/**", access = "r" }]
    limits = { fork = "1/s", mkdir = "2/s" }
    [policies.wide]
    base = "narrow"
    default = "allow"
    ceiling = "policy"
    syscalls = { allow = ["mkdir", "@file-system"] }
    files = [{ path = "/srv/**", access = "rw" }]
    limits = { fork = "9/s" }
    """
    wide = library_from(text).find("wide")

    assert [verdict(wide, name) for name in ("mkdir", "rmdir", "stat", "mount")] == ["allow"] * 4
    assert wide.ceiling is Ceiling.POLICY
    assert [str(limit) for limit in wide.limits] == ["limit mkdir 2 in 1000 ms", "limit fork 9 in 1000 ms"]


def test_what_the_base_says_more_specifically_stays() -> None:
    text = (
        "[policies.a]\nsyscalls.deny = ['mkdir']\n[policies.b]\nbase = 'a'\nsyscalls.allow = ['@file-system']"
    )

    assert verdict(library_from(text).find("b"), "mkdir") == "errno:EPERM"


def test_without_a_base_what_no_rule_decides_is_refused() -> None:
    assert verdict(library_from("[policies.a]").find("a"), "read") == "errno:EPERM"


def test_bases_may_stand_in_any_order_and_be_built_in_ones() -> None:
    text = "[policies.c]\nbase = 'b'\n[policies.b]\nbase = 'a'\n[policies.a]\nbase = 'strict'"
    library = library_from(text)

    assert library.find("c").generations == built_in().find("strict").generations + 3
    assert {*BUILT_IN_POLICIES, "a", "b", "c"} == set(library.policies)


def test_a_configurations_own_policy_takes_the_place_of_a_built_in_one() -> None:
    library = library_from("[policies.web]\ndefault = 'kill'\n[policies.mine]\nbase = 'web'")

    assert verdict(library.find("mine"), "read") == "kill"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[policies.a]\nbase = 'b'\n[policies.b]\nbase = 'c'\n[policies.c]\nbase = 'a'",
            ["kwhost.toml:6: policies.c.base: goes in a circle: a -> b -> c -> a"],
        ),
        ("[policies.a]\nbase = 'a'", ["kwhost.toml:2: policies.a.base: goes in a circle: a -> a"]),
        (
            "[policies.a]\nbase = 'b'\n[policies.b]\nbase = 'c'\n[policies.c]\nbase = 'b'",
            ["kwhost.toml:6: policies.c.base: goes in a circle: b -> c -> b"],
        ),
        (
            "[policies.default]\ndefault = 'allow'",
            ["kwhost.toml:1: policies.default: is built in: choose another name"],
        ),
        (
            "[policies.a]\nbase = 'wbe'\n[policies.b]\nbase = 'a'",
            ["kwhost.toml:2: policies.a.base: there is no policy wbe; did you mean web?"],
        ),
    ],
)
def test_bases_that_make_no_sense_are_told_once(text: str, expected: list[str]) -> None:
    with pytest.raises(ConfigErrors) as caught:
        library_from(text)

    assert list(caught.value.lines) == expected


def test_names_of_policies_are_checked() -> None:
    with pytest.raises(ConfigErrors, match="'Web!' is no name for a policy"):
        library_from("[policies.'Web!']")


def test_a_file_may_inherit_from_a_policy_of_its_own_name() -> None:
    policy = read_policy_file(Path("/x/web.toml"), b"base = 'web'\nsyscalls = { allow = ['chroot'] }")

    assert policy.name == "web"
    assert verdict(policy, "chroot") == "allow"
    assert verdict(policy, "personality") == "errno:EPERM"


def test_a_missing_policy_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(NotFound, match="there is no policy strcit; did you mean strict"):
        built_in().find("strcit")


@untimed
@given(policies, calls)
def test_inheriting_and_saying_nothing_changes_nothing(base: Policy, call: Call) -> None:
    _, top = parse_document(Path("p.toml"), b"")
    nothing = Declared("p", top, None, None, None, None, (), (), (), ())

    assert judge_arguments(inherit(base, nothing), call).verdict == judge_arguments(base, call).verdict


def test_every_key_of_a_policy_has_an_example_that_is_right() -> None:
    text = "\n".join(f"{key.name} = {key.example}" for key in POLICY.keys)

    assert read_policy_file(Path("all.toml"), text.encode()).limits


def test_keys_of_tenants_and_instances_name_a_policy() -> None:
    for key in (TENANT_POLICY, INSTANCE_POLICY):
        _, top = parse_document(Path("kwhost.toml"), b"")
        assert key.kind.read("web", top) == "web"
        assert key.kind.read("No Name", top) is None
