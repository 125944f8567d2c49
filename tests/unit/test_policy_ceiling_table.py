"""The ceiling that an instance's jail is made from permits at least what its policies may ever permit."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwhost.core.abi._abi import ffi, lib
from kwhost.core.errors import ConfigError
from kwhost.core.policy.calls import CALLS
from kwhost.core.policy.ceiling import ceiling_calls, ceiling_grants
from kwhost.core.policy.ceiling_table import compile_ceiling
from kwhost.core.policy.library import built_in
from kwhost.core.policy.model import Layer
from tests.unit.policy_parts import policy_from, untimed

R, W, X = lib.KW_POLICY_READ, lib.KW_POLICY_WRITE, lib.KW_POLICY_EXECUTE


def layers_of(*texts: str) -> list[Layer]:
    return [Layer(f"layer {index}", policy_from(text)) for index, text in enumerate(texts)]


def read(data: bytes) -> Any:  # of cffi
    """The structure, of which the end may be missing."""
    ceiling = ffi.new("struct kw_ceiling *")
    ffi.memmove(ceiling, data, len(data))
    assert ceiling.size == len(data)
    return ceiling


def grants(data: bytes) -> list[set[tuple[str, int, bool]]]:
    """The grants of each layer: path, access, whether all beneath is meant."""
    ceiling = read(data)
    texts = bytes(ffi.buffer(ceiling.texts))
    found = []
    for layer in ceiling.layers[0 : ceiling.layer_count]:
        each = ceiling.grants[layer.first : layer.first + layer.count]
        found.append(
            {
                (texts[one.text : one.text + one.length].decode(), one.access, bool(one.beneath))
                for one in each
            }
        )
    return found


def files(*rules: tuple[str, str]) -> str:
    listed = ", ".join(f"{{ path = '{path}', access = '{access}' }}" for path, access in rules)
    return f"ceiling = 'policy'\nfiles = [{listed}]"


def test_calls_are_those_that_the_layers_may_permit() -> None:
    layers = [Layer("instance", built_in().find("strict"))]

    ceiling = read(compile_ceiling(layers))

    permitted = {call for call, number in CALLS.items() if ceiling.calls[number // 64] >> number % 64 & 1}
    assert permitted == ceiling_calls(layers)
    assert {"read", "clone"} <= permitted
    assert not permitted & {"socket", "execve"}


@pytest.mark.parametrize("name", ["default", "web"])
def test_a_layer_that_may_grant_everything_narrows_nothing(name: str) -> None:
    assert grants(compile_ceiling([Layer("instance", built_in().find(name))])) == []


def test_a_rule_that_replaces_its_bases_counts_alone() -> None:
    assert grants(compile_ceiling([Layer("instance", built_in().find("strict"))])) == [
        {
            ("/", R | X, True),
            ("/dev/null", R | W, False),
            ("/dev/tty", R | W, False),
            ("/dev/zero", R | W, False),
        }
    ]


def test_wildcards_grant_what_is_beneath() -> None:
    (layer,) = layers_of(files(("/srv/*.log", "r"), ("/data/**", "rw"), ("/etc/passwd", "r"), ("/x", "")))

    assert grants(compile_ceiling([layer])) == [
        {("/srv", R, True), ("/data", R | W, True), ("/etc/passwd", R, False)}
    ]


def test_layers_stand_side_by_side() -> None:
    layers = layers_of(files(("/a", "r")), "", files(("/b", "w")))

    assert grants(compile_ceiling(layers)) == [{("/a", R, False)}, {("/b", W, False)}]


def test_too_many_grants_become_those_of_directories() -> None:
    many = [(f"/srv/{number % 7}/{number}", "r") for number in range(lib.KW_CEILING_GRANTS_MAX + 1)]
    (layer,) = layers_of(files(*many, ("/etc/passwd", "r")))

    assert grants(compile_ceiling([layer])) == [
        {*((f"/srv/{number}", R, True) for number in range(7)), ("/etc/passwd", R, False)}
    ]


def test_more_layers_than_there_is_room_for_are_refused() -> None:
    layers = layers_of(*[files((f"/{number}", "r")) for number in range(lib.KW_POLICY_LAYERS_MAX + 1)])

    with pytest.raises(ConfigError, match="9 layers of policies; 8 are allowed"):
        compile_ceiling(layers)


@untimed
@given(st.lists(st.sampled_from(["/a/**", "/a/b", "/a/b/c", "/a/*/c", "/**", "/d"]), unique=True, min_size=1))
def test_every_granted_path_is_beneath_a_grant(paths: list[str]) -> None:
    (layer,) = layers_of(files(*((path, "r") for path in paths)))

    granted = ceiling_grants(layer.policy)

    for path in paths:
        literal = path.partition("*")[0].rstrip("/").encode() or b"/"
        assert any(
            grant.path == literal or (grant.beneath and literal.startswith(grant.path.rstrip(b"/") + b"/"))
            for grant in granted
        )
