"""Which policies hold for an instance, what is kept of them, and which engine holds their rules."""

import pytest

from kwhost.core.config.problems import ConfigErrors
from kwhost.core.errors import NotFound, StoreError, UsageError
from kwhost.core.model.rules import EVERY_RULE, RuleKind
from kwhost.core.policy.enforcing import check_enforceable
from kwhost.core.policy.layers import configured_layers, plugin_layer, plugin_layers
from kwhost.core.policy.library import Library, built_in, read_policy_table
from kwhost.core.policy.model import Layer
from kwhost.core.policy.stored import RunPolicies, decode_policies, encode_policies
from kwhost.core.policy.tables import table_for, table_of
from kwhost.testing import make_definition, make_tenant

TABLE = {
    "base": "web",
    "ceiling": "policy",
    "ask_timeout": "5s",
    "syscalls": {"ask": ["mkdir"], "rules": [{"call": "kill", "args": {"1": [9]}, "action": "kill"}]},
    "files": [{"path": "/srv/**/*.html", "access": "r"}],
    "network": [{"to": "2001:db8::/32", "ports": [443, "80-90"], "protocol": "tcp", "action": "allow"}],
    "limits": {"fork": "5/s"},
}


def names(layers: list[Layer]) -> list[tuple[str, str]]:
    return [(layer.name, layer.policy.name) for layer in layers]


@pytest.mark.parametrize(
    ("tenant", "instance", "confined", "expected"),
    [
        (None, "default", False, [("instance", "default")]),
        ("strict", "web", False, [("tenant acme", "strict"), ("instance", "web")]),
        (None, "web", False, [("instance", "web")]),
        (None, "web", True, [("tenant acme", "default"), ("instance", "web")]),
        (None, "default", True, [("instance", "default")]),
        ("web", "strict", True, [("tenant acme", "web"), ("instance", "strict")]),
    ],
)
def test_tenant_and_instance_each_have_a_layer(
    tenant: str | None, instance: str, confined: bool, expected: list[tuple[str, str]]
) -> None:
    layers = configured_layers(
        make_tenant(policy=tenant), make_definition(policy=instance), built_in(), confined=confined
    )

    assert names(layers) == expected


def test_a_users_own_policy_gives_no_more_than_the_default() -> None:
    definition = make_definition(policy="default", policy_text='default = "allow"')

    layers = configured_layers(make_tenant(), definition, built_in(), confined=True)

    assert names(layers) == [("tenant acme", "default"), ("instance", "default")]


def test_a_policy_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="there is no policy strickt; did you mean strict"):
        configured_layers(make_tenant(), make_definition(policy="strickt"), built_in(), confined=False)


def test_layers_of_plugins_are_told_from_others() -> None:
    policy = built_in().find("default")
    layers = [Layer("instance", policy), Layer(plugin_layer("seal"), policy)]

    assert plugin_layers(layers) == layers[1:]


def test_what_is_kept_of_a_run_is_what_it_was() -> None:
    own = read_policy_table("own", TABLE, built_in())
    layers = (Layer("tenant acme", built_in().find("strict")), Layer("instance", own))
    kept = RunPolicies(layers, layers[1:], table_for(layers).numbering())

    assert decode_policies(encode_policies(kept)) == kept


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"started":1,"layers":[],"rules":{}}', b"\xff"])
def test_what_another_version_kept_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="its policies cannot be read"):
        decode_policies(data)


def test_the_table_of_the_default_names_its_rules() -> None:
    table = table_of("default")

    full = table_for((Layer("instance", built_in().find("default")),))
    assert full.data.rstrip(b"\0") == table.data.rstrip(b"\0")
    assert table.numbering() == full.numbering()


@pytest.mark.parametrize("kind", RuleKind)
def test_a_rule_that_an_engine_cannot_hold_is_named(kind: RuleKind) -> None:
    library: Library = built_in()
    layers = [Layer("instance", read_policy_table("own", TABLE, library))]
    check_enforceable("all", EVERY_RULE, layers)

    with pytest.raises(
        UsageError, match=f"the engine weak has no rules on {kind.value}, and the layer instance"
    ):
        check_enforceable("weak", EVERY_RULE - {kind}, layers)


def test_mistakes_in_a_table_have_no_line() -> None:
    with pytest.raises(ConfigErrors, match=r"^own: files\[0\].access: "):
        read_policy_table("own", {"files": [{"path": "/a", "access": "z"}]}, built_in())
