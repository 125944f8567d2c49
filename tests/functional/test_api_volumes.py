"""The API's routes about volumes: whose they are, and who may do what with them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kwhost.core.errors import NotFound, UsageError
from kwhost.core.model.ids import DEFAULT_TENANT
from kwhost.core.model.volume import StoredVolume
from tests.functional.api_world import ALICE, World, serve_world
from tests.unit.fake_hosting import ACME, RIVAL


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serve_world(tmp_path) as served:
        for tenant, name in ((DEFAULT_TENANT, "plain"), (ACME, "ours"), (RIVAL, "theirs")):
            served.hosting.volumes.stored[tenant, name] = StoredVolume(
                name=name, tenant=tenant, kind="ext4", size=1, created=1.0
            )
        yield served


async def names(world: World, **query: str) -> list[str]:
    return [volume["name"] for volume in await world.ask("GET", "/v1/volumes", query=query)]


async def test_a_tenants_user_has_the_own_volumes_alone(world: World) -> None:
    world.caller = ALICE

    assert await names(world) == ["ours"]
    for tenant in ("rival", "default"):
        with pytest.raises(NotFound):
            await names(world, tenant=tenant)
    for method in ("GET", "DELETE"):
        with pytest.raises(NotFound):
            await world.ask(method, "/v1/volumes/theirs")
        with pytest.raises(NotFound):
            await world.ask(method, "/v1/volumes/theirs", query={"tenant": "rival"})
    assert (RIVAL, "theirs") in world.hosting.volumes.stored


async def test_a_tenants_user_makes_prunes_and_removes_own_volumes(world: World) -> None:
    world.caller = ALICE

    made = await world.ask("POST", "/v1/volumes", body={"name": "new", "size": 1 << 20})
    assert (made["tenant"], made["size"]) == ("acme", 1 << 20)
    assert (await world.ask("DELETE", "/v1/volumes/ours"))["name"] == "ours"
    assert [volume["name"] for volume in await world.ask("POST", "/v1/prune/volumes")] == ["new"]
    assert set(world.hosting.volumes.stored) == {(DEFAULT_TENANT, "plain"), (RIVAL, "theirs")}


async def test_an_operator_has_any_tenants(world: World) -> None:
    assert await names(world) == ["plain"]
    assert await names(world, tenant="rival") == ["theirs"]


async def test_all_are_those_that_one_may_see(world: World) -> None:
    assert sorted(await names(world, all="true")) == ["ours", "plain", "theirs"]

    world.caller = ALICE
    assert await names(world, all="true") == ["ours"]


@pytest.mark.parametrize("body", [{}, {"name": "a", "size": 0}, {"name": "a", "sizes": 1}, {"name": 1}])
async def test_what_is_made_must_be_said(world: World, body: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        await world.ask("POST", "/v1/volumes", body=body)
