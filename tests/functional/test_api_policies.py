"""The API's routes about policies, questions and answers: who may use them, and what they take."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kwhost.core.errors import NotFound, PermissionDenied, UsageError
from kwhost.core.model.decisions import Answer, Scope
from kwhost.core.model.policy import CallAction
from tests.functional.api_world import ALICE, World, serve_world
from tests.unit.fake_hosting import make_definition


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serve_world(tmp_path) as served:
        yield served


async def test_a_tenants_users_see_their_questions_and_answers_alone(world: World) -> None:
    assert [each["tenant"] for each in await world.ask("GET", "/v1/questions")] == ["acme", "rival"]

    world.caller = ALICE

    assert [each["tenant"] for each in await world.ask("GET", "/v1/questions")] == ["acme"]
    assert [each["tenant"] for each in await world.ask("GET", "/v1/answers")] == ["acme"]
    with pytest.raises(NotFound):
        await world.ask("GET", "/v1/questions", query={"tenant": "rival"})


async def test_only_operators_answer_and_forget(world: World) -> None:
    world.caller = ALICE
    for method, path, body in (
        ("POST", "/v1/questions/1/answer", {"allow": True}),
        ("DELETE", "/v1/answers/3", None),
        ("GET", "/v1/policies/default", None),
    ):
        with pytest.raises(PermissionDenied):
            await world.ask(method, path, body=body)
    assert world.hosting.policies.given == []
    assert world.hosting.policies.forgotten == []


async def test_an_answer_has_a_scope_and_whose_it_is(world: World) -> None:
    await world.ask("POST", "/v1/questions/1/answer", body={"allow": True, "scope": "forever"})

    ((question, given, by),) = world.hosting.policies.given
    assert (question, given) == ("1", Answer(allow=True, scope=Scope.FOREVER))
    assert by == f"operator {world.caller.user}"


@pytest.mark.parametrize("body", [{}, {"allow": "yes"}, {"allow": True, "scope": "always"}])
async def test_a_wrong_answer_answers_nothing(world: World, body: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        await world.ask("POST", "/v1/questions/1/answer", body=body)
    assert world.hosting.policies.given == []


async def test_a_users_instance_is_shown_and_explained_to_them(world: World) -> None:
    world.hosting.add(make_definition())
    world.hosting.add(make_definition("rival", "secret"))
    world.caller = ALICE

    view = await world.ask("GET", "/v1/instances/web/policy")
    said = await world.ask("GET", "/v1/instances/web/policy/explain", query={"call": "mkdir '/a b'"})

    assert view["layers"][0]["rules"][0]["denied"] == 1
    assert said["lines"][1:] == ["mkdir", "/a b"]
    with pytest.raises(NotFound):
        await world.ask("GET", "/v1/instances/secret/policy")


async def test_only_operators_allow_and_deny_calls(world: World) -> None:
    world.hosting.add(make_definition())
    path = "/v1/instances/web/policy/rules"

    view = await world.ask("PUT", path, body={"call": "mkdir", "action": "deny"})

    assert view["layers"][0]["name"] == "instance"
    assert world.hosting.policies.chosen == [("mkdir", CallAction.DENY, f"operator {world.caller.user}")]
    assert await world.ask("GET", path) == [{"call": "mkdir", "action": "deny"}]
    await world.ask("PUT", path, body={"call": "mkdir", "action": None})
    assert world.hosting.policies.chosen[-1][1] is None

    world.caller = ALICE
    for method, body in (("GET", None), ("PUT", {"call": "mkdir", "action": "allow"})):
        with pytest.raises(PermissionDenied):
            await world.ask(method, path, body=body)
    assert len(world.hosting.policies.chosen) == 2


@pytest.mark.parametrize(
    "body", [{}, {"call": "mkdir"}, {"call": 1, "action": "deny"}, {"call": "mkdir", "action": "kill"}]
)
async def test_a_wrong_wish_for_a_call_changes_nothing(world: World, body: dict[str, object]) -> None:
    world.hosting.add(make_definition())
    with pytest.raises(UsageError):
        await world.ask("PUT", "/v1/instances/web/policy/rules", body=body)
    assert world.hosting.policies.chosen == []


@pytest.mark.parametrize("call", ["", "  ", "mkdir '"])
async def test_a_call_that_is_none_is_refused(world: World, call: str) -> None:
    with pytest.raises(UsageError):
        await world.ask("GET", "/v1/policies/default/explain", query={"call": call})


@pytest.mark.parametrize("number", ["x", "-1", "9" * 30])
async def test_what_is_no_number_of_an_answer_is_refused(world: World, number: str) -> None:
    with pytest.raises(UsageError):
        await world.ask("DELETE", f"/v1/answers/{number}")
