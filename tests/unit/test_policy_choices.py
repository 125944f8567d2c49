"""What operators allow or deny an instance on top of its policy."""

import pytest

from kwhost.core.errors import Conflict, UsageError
from kwhost.core.model.policy import CallAction, CallChoice
from kwhost.core.policy.choices import check_choice, choose, with_choices
from kwhost.core.policy.evaluate import Call, decide
from kwhost.core.policy.model import Action, Layer
from kwhost.core.policy.show import effective_rules
from tests.unit.policy_parts import policy_from

ALLOW, DENY = CallAction.ALLOW, CallAction.DENY
POLICY = """
default = "errno:EPERM"
[syscalls]
allow = ["@basic-io", "ioctl"]
deny = ["mkdir"]
rules = [{ call = "ioctl", args = { 1 = ["TCGETS"] }, action = "deny" },
         { call = "socket", args = { 0 = ["AF_UNIX"] }, action = "allow" }]
"""
TCGETS = 0x5401


def chosen(call: str, action: CallAction, *others: Layer) -> list[Layer]:
    layers = [*others, Layer("instance", policy_from(POLICY))]
    return with_choices(layers, [CallChoice(call=call, action=action)])


def action_on(layers: list[Layer], name: str, *arguments: int) -> Action:
    return decide(layers, Call(name, arguments)).action


def test_a_choice_is_stronger_than_a_rule_on_the_call_or_a_set() -> None:
    assert action_on(chosen("mkdir", ALLOW), "mkdir") is Action.ALLOW
    assert action_on(chosen("read", DENY), "read") is Action.ERRNO
    assert action_on(chosen("read", DENY), "write") is Action.ALLOW


def test_rules_on_arguments_go_on_refusing_what_is_allowed() -> None:
    layers = chosen("ioctl", ALLOW)

    assert action_on(layers, "ioctl", 0, TCGETS) is Action.ERRNO
    assert action_on(layers, "ioctl", 0, 1) is Action.ALLOW


def test_what_is_denied_is_denied_whatever_its_arguments() -> None:
    assert action_on(chosen("socket", DENY), "socket", 1) is Action.ERRNO


def test_only_the_instances_own_layer_changes() -> None:
    closed = Layer("tenant acme", policy_from('default = "allow"\nsyscalls = { deny = ["mkdir"] }'))
    layers = chosen("mkdir", ALLOW, closed)

    assert layers[0] == closed
    assert action_on(layers, "mkdir") is Action.ERRNO


def test_nothing_chosen_is_nothing_changed() -> None:
    layers = [Layer("instance", policy_from(POLICY))]

    assert with_choices(layers, []) == layers


def test_a_choice_is_told_from_rules_of_the_policy() -> None:
    rules = list(effective_rules(chosen("mkdir", ALLOW)[0].policy))

    shown = next(rule for rule in rules if rule.text == "allow mkdir")
    assert (shown.policy, shown.where) == ("from here on", "kwhost policy set")
    assert not any(rule.text == "errno:EPERM mkdir" for rule in rules)


def test_a_call_has_one_choice_and_none_is_as_before() -> None:
    first = choose((), "mkdir", DENY)
    both = choose(first, "rmdir", DENY)

    assert choose(both, "mkdir", ALLOW) == (
        CallChoice(call="rmdir", action=DENY),
        CallChoice(call="mkdir", action=ALLOW),
    )
    assert choose(first, "mkdir", None) == ()


@pytest.mark.parametrize("call", ["", "makedir", "@file-system", "\x1b[2J", "mkdir "])
def test_only_a_call_can_be_chosen(call: str) -> None:
    with pytest.raises(UsageError):
        choose((), call, DENY)


def test_what_another_layer_refuses_is_named() -> None:
    closed = Layer("tenant acme", policy_from('default = "allow"\nsyscalls = { deny = ["mkdir"] }'))

    with pytest.raises(Conflict, match=r'mkdir changes nothing: .*"errno:EPERM mkdir" of tenant acme'):
        check_choice([closed, Layer("instance", policy_from(POLICY))], "mkdir")


def test_what_is_allowed_already_is_said() -> None:
    with pytest.raises(Conflict, match='read is allowed already, by "allow @basic-io" of instance'):
        check_choice([Layer("instance", policy_from(POLICY))], "read")


def test_what_a_choice_changes_is_no_conflict() -> None:
    check_choice([Layer("instance", policy_from(POLICY))], "mkdir")
