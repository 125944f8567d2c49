"""What Landlock can carry of a policy's rules on executing, and which changes of it need a restart."""

import pytest

from kwhost.core.policy.carried import needs_new_landlock, uncarried
from kwhost.core.policy.library import built_in, read_policy_table
from kwhost.core.policy.model import Layer, Policy

EVERYTHING = {"path": "/**", "access": "rwx"}


def policy(*files: dict[str, str], **more: object) -> Policy:
    """One on top of `default` with these rules on files."""
    return read_policy_table("own", {"base": "default", "files": list(files), **more}, built_in())


@pytest.mark.parametrize("name", ["default", "strict", "web"])
def test_built_in_policies_can_be_carried(name: str) -> None:
    assert uncarried(built_in().find(name)) == ()


@pytest.mark.parametrize(
    "place", ["/srv/**", "/srv/file", "/memfd:*", "/memfd:*/**", "/srv/*", "/srv/*/bin/**", "/srv/a?"]
)
def test_what_can_be_looked_at_can_be_carried(place: str) -> None:
    assert uncarried(policy({"path": place, "access": "rw"})) == ()


@pytest.mark.parametrize("place", ["/srv/**/lib", "/**/lib/**", "/srv/**/*.so"])
def test_what_may_be_anywhere_cannot_where_it_makes_a_difference(place: str) -> None:
    assert [str(rule) for rule in uncarried(policy({"path": place, "access": "rw"}))] == [f"rw {place}"]


def test_it_can_where_executing_is_as_around_it() -> None:
    assert uncarried(policy({"path": "/srv/**/*.log", "access": "rx"})) == ()


@pytest.mark.parametrize("action", ["log", "ask"])
def test_executing_is_neither_told_nor_asked_about(action: str) -> None:
    table = {"default": action, "files": [{"path": "/bin/**", "access": "rx"}]}
    found = uncarried(read_policy_table("own", table, built_in()))

    assert [str(rule) for rule in found] == [f"default {action}"]


def test_reading_and_writing_may_change() -> None:
    old, new = policy(EVERYTHING), policy({"path": "/srv/**", "access": "x"}, EVERYTHING)

    assert needs_new_landlock([Layer("instance", old)], [Layer("instance", new)]) == ()


def test_executing_stays_as_it_was() -> None:
    old, new = policy(EVERYTHING), policy({"path": "/srv/**", "access": "rw"}, EVERYTHING)
    layers = [Layer("instance", old)], [Layer("instance", new)]

    for before, after in (layers, layers[::-1]):
        (line,) = needs_new_landlock(before, after)
        assert line.startswith("needs a restart: ")
        assert line.endswith(": rw /srv/** is about what running programs may execute")


def test_a_layer_that_refuses_executing_comes_with_a_restart() -> None:
    old = [Layer("instance", policy(EVERYTHING))]
    new = [*old, Layer("plugin seal", policy({"path": "/srv/**", "access": "r"}))]

    assert len(needs_new_landlock(old, new)) == 1
    assert len(needs_new_landlock(new, old)) == 1
