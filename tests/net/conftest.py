"""Worlds for tests of networks, and what happens where the kernel lacks something."""

from collections.abc import Iterator

import pytest

from tests.net.world import World, make_world


@pytest.fixture
def bare_world() -> Iterator[World]:
    """Nothing is applied yet."""
    with make_world() as world:
        yield world


@pytest.fixture
def world(bare_world: World) -> World:
    """Two tenants with three instances each; none may call anybody outside."""
    bare_world.apply(bare_world.wishes)
    return bare_world
