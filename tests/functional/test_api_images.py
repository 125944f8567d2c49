"""The API's routes about images: whose they are, and who may do what with them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kwhost.core.errors import NotFound, UsageError
from kwhost.core.model.image import StoredImage
from tests.functional.api_world import ALICE, World, serve_world
from tests.unit.fake_hosting import ACME, RIVAL


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serve_world(tmp_path) as served:
        for owner, name in ((None, "shared:1"), (ACME, "ours:1"), (RIVAL, "theirs:1")):
            served.hosting.images.stored[owner, name] = StoredImage(
                name=name, digest="sha256:" + "0" * 64, tenant=owner, size=1, layers=(), added=1.0
            )
        yield served


async def names(world: World, **query: str) -> list[str]:
    return [image["name"] for image in await world.ask("GET", "/v1/images", query=query)]


async def test_a_tenants_user_sees_the_own_images_and_the_shared_ones(world: World) -> None:
    world.caller = ALICE

    assert await names(world) == ["shared:1", "ours:1"]
    assert await names(world, tenant="acme") == ["shared:1", "ours:1"]
    with pytest.raises(NotFound):
        await names(world, tenant="rival")
    with pytest.raises(NotFound):
        await world.ask("GET", "/v1/images/theirs:1")


async def test_an_operator_sees_the_shared_ones_and_any_tenants(world: World) -> None:
    assert await names(world) == ["shared:1"]
    assert await names(world, tenant="rival") == ["shared:1", "theirs:1"]


async def test_all_are_those_that_one_may_see(world: World) -> None:
    assert await names(world, all="true") == ["shared:1", "ours:1", "theirs:1"]

    world.caller = ALICE
    assert await names(world, all="true") == ["shared:1", "ours:1"]


async def test_a_tenants_user_removes_own_images_alone(world: World) -> None:
    world.caller = ALICE

    assert (await world.ask("DELETE", "/v1/images/ours:1"))["tenant"] == "acme"
    with pytest.raises(NotFound):
        await world.ask("DELETE", "/v1/images/theirs:1")
    with pytest.raises(NotFound):
        await world.ask("DELETE", "/v1/images/theirs:1", query={"tenant": "rival"})
    assert (RIVAL, "theirs:1") in world.hosting.images.stored


async def test_a_tenants_user_prunes_own_images_alone(world: World) -> None:
    world.caller = ALICE

    assert [image["name"] for image in await world.ask("POST", "/v1/prune/images")] == ["ours:1"]
    assert set(world.hosting.images.stored) == {(None, "shared:1"), (RIVAL, "theirs:1")}


@pytest.mark.parametrize("query", [{"kind": "disk"}, {}, {"kind": "root"}])
async def test_what_is_added_must_be_said(world: World, query: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        await world.ask("PUT", "/v1/images", query=query)
